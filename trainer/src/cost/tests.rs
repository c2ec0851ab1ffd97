//! Figures that were published, from their inputs. Where an input was not printed and is fitted to the figure, it says so.

use super::*;

#[track_caller]
fn close(found: f64, expected: f64, tolerance: f64) {
    assert!((found / expected - 1.0).abs() < tolerance, "{found}, expected {expected}");
}

/// “The Economics of Large Language Models” (Sunyan 2023): GPT-3 about $1.4M, PaLM about $11.2M, on TPU v4 at the utilisation of
/// the PaLM paper, 46.2 %. Peak and price are not printed there; Google's figures of the time give both totals.
#[test]
fn training_gpt3_and_palm() {
    let dollars = |parameters, tokens| {
        let hardware = Hardware::named("tpu-v4").unwrap();
        let hours = device_hours(training_flops(parameters, tokens), hardware.peak_flops.unwrap().value, 0.462);
        (hours, hours * hardware.price.unwrap().value)
    };
    let (hours, gpt3) = dollars(175e9, 300e9);
    close(hours, 688_705.0, 1e-6);
    close(gpt3, 1.398e6, 1e-3);
    close(dollars(540e9, 780e9).1, 11.2e6, 2e-3);
    // Brown et al. 2020, table D.1: 3.14e23 operations, 3,640 petaFLOP/s-days.
    close(training_flops(175e9, 300e9), 3.14e23, 5e-3);
    close(petaflop_days(training_flops(175e9, 300e9)), 3640.0, 5e-3);
}

/// The same source: 0.35 cents for 1,000 tokens of GPT-3 on A100 at 21.3 %, at the price of eight from a cloud, $19.22 an hour.
#[test]
fn a_thousand_tokens_of_gpt3() {
    let a100 = Hardware::named("a100").unwrap();
    let hours = device_hours(inference_flops(175e9, 1000.0), a100.peak_flops.unwrap().value, 0.213);
    close(hours * a100.price.unwrap().value, 0.0035, 5e-3);
}

/// “The Inference Cost of Search Disruption” (SemiAnalysis, February 2023): 13 million users a day, 15 queries each, 2,000 tokens
/// a query, $1 a GPU and hour: $694,444 a day, 28,936 GPUs, 3,617 servers, 0.36 cents a query. What a GPU writes is not printed:
/// 156 tokens a second are fitted, 35 % of an A100's peak for the half of the time that it is busy.
#[test]
fn a_day_of_chatgpt() {
    let demand = Demand { queries_per_day: 13e6 * 15.0, tokens_per_query: 2000.0 };
    let fleet = Fleet::for_demand(demand, 312.0, 0.5, 8.0);
    assert_eq!((fleet.whole_devices(), fleet.whole_servers()), (28_936.0, 3617.0));
    close(fleet.rent_per_day(1.0), 694_444.0, 1e-6);
    close(fleet.rent_per_day(1.0) / demand.queries_per_day, 0.0036, 0.02);
    let busy = Decoding {
        parameters: 175e9,
        shape: Shape::like_gpt3(175e9),
        bytes: 1.0,
        batch: 1e6,
        context: 0.0,
        peak_flops: 312e12,
        utilisation: 0.35,
        bandwidth: 2.039e12,
        bandwidth_utilisation: 1.0,
    };
    assert!(!busy.waits_for_memory());
    close(busy.tokens_per_second(), 312.0, 1e-9);
}

/// The same source: the model behind every one of 320,000 searches a second needs 512,820.51 servers, about $36 billion a year
/// at that price, and more than $100 billion to buy: with the same 156 tokens a second. The price of a server, $195,000, is fitted.
#[test]
fn every_search_of_google() {
    let demand = Demand { queries_per_day: 320_000.0 * 86_400.0, tokens_per_query: 2000.0 };
    let fleet = Fleet::for_demand(demand, 156.0, 1.0, 8.0);
    close(fleet.servers(), 512_820.51, 1e-8);
    close(fleet.rent_per_day(1.0) * 365.0, 36e9, 5e-3);
    close(fleet.whole_servers() * 195_000.0, 100e9, 1e-3);
}

/// Guosheng Securities 2023: 25 million visits a day keep about 30,000 A100 (30,382) in about 4,000 servers busy, about $0.8
/// billion to buy and $50,000 a day of electricity at $0.08. Ten questions a visit, 30 words an answer, 0.35 s a word are T. Goldstein's
/// (December 2022); a server's $199,000 and 6.5 kW are not printed and fit.
#[test]
fn the_visits_of_january_2023() {
    let demand = Demand { queries_per_day: 25e6 * 10.0, tokens_per_query: 30.0 };
    let fleet = Fleet::for_demand(demand, 1.0 / 0.35, 1.0, 8.0);
    assert_eq!((fleet.whole_devices(), fleet.whole_servers()), (30_382.0, 3798.0));
    close(fleet.whole_servers() * 199_000.0, 756e6, 1e-3);
    let watts = Hardware::named("a100").unwrap().server_power.unwrap().value;
    close(fleet.energy_per_day(watts, 1.0) * 0.08, 47_400.0, 1e-3);
}

/// Ouyang et al. 2022, section 5.1: 4.9 petaFLOP/s-days for SFT of the 175B model, 60 for PPO-ptx. Data and epochs are appendix A
/// and C's: 12,725 demonstrations and 16 epochs, 256,000 episodes and 8 pretraining examples for each, a reward model of 6B. That
/// every example fills the context of 2,000 tokens is an assumption, and it gives both figures.
#[test]
fn instructgpt() {
    close(petaflop_days(training_flops(175e9, 12_725.0 * 2000.0 * 16.0)), 4.9, 0.02);
    let episodes = Episodes { policy: 175e9, reward: 6e9, episodes: 256_000.0, tokens: 2000.0, epochs: 1.0 };
    let flops = episode_flops(episodes) + pretraining_mix_flops(episodes, 8.0);
    close(petaflop_days(flops), 60.0, 0.02);
    // With one size, NT(8 + 12E).
    let equal = Episodes { policy: 1e9, reward: 1e9, episodes: 1.0, tokens: 100.0, epochs: 4.0 };
    close(episode_flops(equal), 1e9 * 100.0 * (8.0 + 12.0 * 4.0), 1e-12);
}

/// Ceilings of one row, caches aside, from the figures of the devices alone: bandwidth over bytes of the weights.
#[test]
fn ceilings_of_decoding() {
    let decoding = |name: &str, parameters: f64, bytes: f64| {
        let hardware = Hardware::named(name).unwrap();
        Decoding {
            parameters,
            shape: Shape::like_gpt3(parameters),
            bytes,
            batch: 1.0,
            context: 0.0,
            peak_flops: hardware.peak_flops.unwrap().value,
            utilisation: 1.0,
            bandwidth: hardware.bandwidth.unwrap().value,
            bandwidth_utilisation: 1.0,
        }
    };
    for (name, parameters, bytes, tokens_per_second) in [
        ("cpu", 100e6, 4.0, 66.5),
        ("cpu", 100e6, 1.0, 266.0),
        ("cpu", 1e9, 4.0, 6.65),
        ("h100", 100e6, 2.0, 16_750.0),
        ("h100", 1e9, 2.0, 1675.0),
    ] {
        let decoding = decoding(name, parameters, bytes);
        assert!(decoding.waits_for_memory());
        close(decoding.tokens_per_second(), tokens_per_second, 1e-9);
    }
    let h100 = decoding("h100", 1e9, 2.0);
    close(h100.critical_batch(), 295.0, 2e-3);
    let full = Decoding { batch: 2.0 * h100.critical_batch(), ..h100 };
    assert!(!full.waits_for_memory());
    // 4096 tokens of GPT-3's own shape: 96 layers, width 12,288, two bytes: 4.7 MB a token.
    close(Shape::like_gpt3(175e9).cache_per_token() * 2.0, 2.0 * 96.0 * 12_288.0 * 2.0, 0.01);
    // 350 GB of weights are five devices of 80 GB.
    assert_eq!(decoding("h100", 175e9, 2.0).devices(80e9), 5.0);
}

/// With Adam 16 bytes a parameter in float32; 18 in mixed precision, as Hugging Face's "Model training anatomy" counts PyTorch's
/// (6 for the weights, 8 for AdamW, 4 for the gradients). PPO holds two models that learn and two that do not.
#[test]
fn memory_of_the_stages() {
    for (of, float32, mixed) in
        [(Use::Generate, 4.0, 2.0), (Use::Sft, 16.0, 18.0), (Use::Ppo, 40.0, 44.0), (Use::Dpo, 20.0, 22.0)]
    {
        assert_eq!(bytes_per_parameter(of, Precision::Float32, false, 0.0), float32);
        assert_eq!(bytes_per_parameter(of, Precision::Mixed, false, 0.0), mixed);
    }
    assert_eq!(bytes_per_parameter(Use::PpoAdapters, Precision::Float32, false, 0.01), 8.32);
    assert_eq!(bytes_per_parameter(Use::PpoAdapters, Precision::Mixed, false, 0.01), 12.36);
}

/// In bfloat16 the CPU keeps its matrices beside the float32 ones to answer by, and copies nothing to learn.
#[test]
fn memory_on_the_cpu() {
    for of in [Use::Sft, Use::Dpo, Use::Ppo, Use::PpoAdapters] {
        let [mixed, float32] =
            [Precision::Mixed, Precision::Float32].map(|precision| bytes_per_parameter(of, precision, true, 0.01));
        assert_eq!(mixed, float32);
    }
    assert_eq!(bytes_per_parameter(Use::Generate, Precision::Mixed, true, 0.0), 6.0);
    assert_eq!(bytes_per_parameter(Use::Generate, Precision::Float32, true, 0.0), 4.0);
}
