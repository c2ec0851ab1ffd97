//! Neither padding, nor company in the batch, nor a cache changes what a row gives.

use burn::module::Module;

use super::{super::Branches, *};
use crate::cli::device::device_of_tests;

const LENGTH: usize = 11;

#[test]
fn padding_on_the_left_and_other_rows_change_nothing() {
    let device = device_of_tests();
    for decoder in decoders(&device) {
        let (short, long) = (row(6, 1), row(LENGTH, 2));
        let alone = logits(&decoder, std::slice::from_ref(&short), &Layout::causal(1, 6, &device), &device);
        let padded = [vec![0; LENGTH - 6], short].concat();
        let layout = Layout::left_padded(&[LENGTH - 6, 0], LENGTH, &device);
        let together = logits(&decoder, &[padded, long.clone()], &layout, &device);
        let of_short = together.clone().narrow(0, 0, 1).narrow(1, LENGTH - 6, 6);
        assert_close(&values(of_short), &values(alone));
        let alone = logits(&decoder, &[long], &Layout::causal(1, LENGTH, &device), &device);
        assert_close(&values(together.narrow(0, 1, 1)), &values(alone));
    }
}

#[test]
fn padding_on_the_right_changes_nothing_before_it() {
    let device = device_of_tests();
    for decoder in decoders(&device) {
        let short = row(6, 3);
        let alone = logits(&decoder, std::slice::from_ref(&short), &Layout::causal(1, 6, &device), &device);
        let padded = [short, vec![96; 5]].concat();
        let together = logits(&decoder, &[padded, row(LENGTH, 4)], &Layout::causal(2, LENGTH, &device), &device);
        assert_close(&values(together.narrow(0, 0, 1).narrow(1, 0, 6)), &values(alone));
    }
}

#[test]
fn texts_packed_into_one_row_do_not_see_each_other() {
    let device = device_of_tests();
    for decoder in decoders(&device) {
        let (first, second) = (row(4, 5), row(7, 6));
        let layout = Layout::packed(&[[vec![0; 4], vec![1; 7]].concat()], &device);
        let packed = logits(&decoder, &[[first, second.clone()].concat()], &layout, &device);
        let alone = logits(&decoder, &[second], &Layout::causal(1, 7, &device), &device);
        assert_close(&values(packed.narrow(1, 4, 7)), &values(alone));
    }
}

#[test]
fn branches_of_a_text_are_what_they_are_in_rows_of_their_own() {
    let device = device_of_tests();
    for decoder in decoders(&device) {
        let (shared, branches) = (row(6, 1), [row(3, 5), row(1, 6), row(5, 7)]);
        let whole = [shared.clone(), branches.concat(), vec![0; 2]].concat();
        let rows = [
            Branches { shared: 6, lengths: branches.iter().map(Vec::len).collect() },
            Branches { shared: 0, lengths: vec![17] },
        ];
        let other = row(17, 9);
        let layout = Layout::branching(&rows, 17, &device);
        let found = logits(&decoder, &[whole, other.clone()], &layout, &device);
        let alone = |text: &[i32]| logits(&decoder, &[text.to_vec()], &Layout::causal(1, text.len(), &device), &device);
        let mut start = 6;
        for branch in &branches {
            let text = [shared.as_slice(), branch].concat();
            let of_branch = found.clone().narrow(0, 0, 1).narrow(1, start, branch.len());
            assert_close(&values(of_branch), &values(alone(&text).narrow(1, 6, branch.len())));
            start += branch.len();
        }
        assert_close(&values(found.clone().narrow(0, 0, 1).narrow(1, 0, 6)), &values(alone(&shared)));
        assert_close(&values(found.narrow(0, 1, 1)), &values(alone(&other)));
    }
}

#[test]
fn token_by_token_over_the_cache_gives_what_the_whole_forward_gives() {
    let device = device_of_tests();
    for decoder in decoders(&device) {
        let rows = [row(LENGTH, 7), [vec![0; 3], row(LENGTH - 3, 8)].concat()];
        let pads = [0, 3];
        let whole = logits(&decoder, &rows, &Layout::left_padded(&pads, LENGTH, &device), &device);

        // Room for five tokens only: the cache has to grow on the way.
        let mut cache = decoder.new_cache(2, 5);
        let part = |from: usize, to: usize| ids(&rows.clone().map(|row| row[from..to].to_vec()), &device);
        let mut pieces =
            vec![decoder.hidden_states(part(0, 4), &Layout::left_padded(&pads, 4, &device), Some(&mut cache))];
        let three_more = Layout::following(&cache, 3);
        pieces.push(decoder.hidden_states(part(4, 7), &three_more, Some(&mut cache)));
        for at in 7..LENGTH {
            pieces.push(decoder.hidden_states(part(at, at + 1), &Layout::step(&cache), Some(&mut cache)));
        }
        assert_eq!(cache.length(), LENGTH);
        let stepped = decoder.logits(Tensor::cat(pieces, 1));
        assert_close(&values(stepped.clone().narrow(0, 0, 1)), &values(whole.clone().narrow(0, 0, 1)));
        let real = |logits: Tensor<3>| values(logits.narrow(0, 1, 1).narrow(1, 3, LENGTH - 3));
        assert_close(&real(stepped), &real(whole));
    }
}

#[test]
fn rows_dropped_from_the_cache_leave_the_others_as_they_were() {
    let device = device_of_tests();
    for decoder in decoders(&device) {
        let rows = [row(6, 9), [vec![0; 2], row(4, 10)].concat(), [vec![0; 1], row(5, 11)].concat()];
        let pads = [0, 2, 1];
        let start = |cache: &mut _| {
            decoder.hidden_states(ids(&rows, &device), &Layout::left_padded(&pads, 6, &device), Some(cache))
        };
        let step = |cache: &mut _, next: Vec<i32>| {
            let tokens: Vec<Vec<i32>> = next.into_iter().map(|token| vec![token]).collect();
            let layout = Layout::step(cache);
            values(decoder.hidden_states(ids(&tokens, &device), &layout, Some(cache)))
        };
        let mut all = decoder.new_cache(3, 16);
        start(&mut all);
        let mut some = decoder.new_cache(3, 16);
        start(&mut some);
        some.select(&[2, 1, 2]);
        let (all, some) = (step(&mut all, vec![40, 41, 42]), step(&mut some, vec![42, 41, 42]));
        let hidden = decoder.config().hidden_size;
        let of = |values: &[f32], row: usize| values[row * hidden..(row + 1) * hidden].to_vec();
        assert_close(&of(&some, 0), &of(&all, 2));
        assert_close(&of(&some, 1), &of(&all, 1));
        assert_close(&of(&some, 2), &of(&all, 2));
    }
}

#[test]
fn many_rows_of_logits_are_the_same_as_few() {
    let device = device_of_tests();
    let decoder = decoder("gpt2-tiny", &device);
    let hidden = decoder.hidden_states(ids(&[row(80, 12)], &device), &Layout::causal(1, 80, &device), None);
    let at_once = values(decoder.logits(hidden.clone()));
    let in_parts: Vec<f32> = [(0, 1), (1, 9), (10, 70)]
        .iter()
        .flat_map(|&(at, n)| values(decoder.logits(hidden.clone().narrow(1, at, n))))
        .collect();
    assert_close(&at_once, &in_parts);
}

#[test]
fn states_at_some_tokens_and_their_gradients_are_those_of_all_tokens() {
    let device = device_of_tests().autodiff();
    for decoder in decoders(&device_of_tests()) {
        let decoder = decoder.train();
        let rows = ids(&[row(LENGTH, 3), row(LENGTH, 5)], &device);
        let layout = Layout::causal(2, LENGTH, &device);
        for count in [1, 3, 2 * LENGTH] {
            let places: Vec<i32> = (0..count as i32).map(|at| at * 7 % (2 * LENGTH as i32)).collect();
            let places = Tensor::<1, Int>::from_data(TensorData::new(places, [count]), &device);
            // What reaches the embedding has come back through every part of the blocks.
            let with_gradient = |states: Tensor<3>| {
                let gradients = states.clone().square().sum().backward();
                let gradient = values(decoder.token_embedding.val().grad(&gradients).unwrap());
                let largest = gradient.iter().fold(0.0f32, |largest, number| largest.max(number.abs()));
                (values(states.inner()), gradient.iter().map(|number| number / largest).collect::<Vec<f32>>())
            };
            let all = decoder.hidden_states(rows.clone(), &layout, None);
            let size = all.dims()[2];
            let all = with_gradient(all.reshape([2 * LENGTH, size]).select(0, places.clone()).unsqueeze());
            let some = with_gradient(decoder.hidden_states_at(rows.clone(), &layout, None, &places));
            assert_close(&some.0, &all.0);
            assert_close(&some.1, &all.1);
        }

        let (decoder, rows) = (decoder.valid(), rows.inner());
        let (mut cache, mut other) = (decoder.new_cache(2, LENGTH), decoder.new_cache(2, LENGTH));
        let layout = Layout::left_padded(&[0, 4], LENGTH, &rows.device());
        let whole = decoder.hidden_states(rows.clone(), &layout, Some(&mut cache)).narrow(1, LENGTH - 1, 1);
        let last = decoder.last_hidden_states(rows, &layout, &mut other);
        assert_close(&values(last), &values(whole));
        assert_eq!(other.length(), LENGTH);
    }
}
