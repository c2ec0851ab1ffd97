//! A moving average of the weights (Polyak and Juditsky 1992), which InstructGPT's policies are (appendix C.4: decay .992).

use std::collections::BTreeMap;

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Tensor, TensorData},
};

use super::stored::{Stored, Tensors};

/// The average of every weight that learns: after each step, decay · average + (1 − decay) · weight. It begins at the weights
/// that the run begins with. Of an adapter that is A and B each by itself, whose averages' product is not the average of their
/// products: near to it as long as they move slowly.
pub struct Ema {
    decay: f64,
    /// By path in the module, flat.
    averages: BTreeMap<String, Tensor<1>>,
}

impl Ema {
    /// The average of a model that has not learned yet; `None` for a decay of 0.
    pub fn of<M: Module>(model: &M, decay: f64) -> Option<Self> {
        let averages = learned(model);
        (decay > 0.0).then_some(Self { decay, averages })
    }

    /// Takes the weights after one more step into the average.
    pub fn update<M: Module>(&mut self, model: &M) {
        let decay = self.decay;
        for (path, weight) in learned(model) {
            let average = match self.averages.remove(&path) {
                Some(average) => average * decay + weight * (1.0 - decay),
                None => weight,
            };
            self.averages.insert(path, average);
        }
    }

    /// The model with the averages as its weights.
    pub fn averaged<M: Module>(&self, model: &M) -> M {
        model.clone().map(&mut Averaged { averages: &self.averages, path: vec![] })
    }

    /// The averages, for a checkpoint.
    pub fn store(&self, prefix: &str, tensors: &mut Tensors) {
        for (path, average) in &self.averages {
            tensors.insert(format!("{prefix}{path}"), Stored::of(average.clone()));
        }
    }

    /// The averages of a checkpoint back.
    pub fn restore(&mut self, prefix: &str, tensors: &mut Tensors) {
        for (path, average) in &mut self.averages {
            if let Some(stored) = tensors.remove(&format!("{prefix}{path}")) {
                let length = stored.values.len();
                *average = Tensor::from_data(TensorData::new(stored.values, [length]), &average.device());
            }
        }
    }
}

/// The weights that learn, by path, flat, without gradients.
fn learned<M: Module>(model: &M) -> BTreeMap<String, Tensor<1>> {
    struct Collect(Vec<String>, BTreeMap<String, Tensor<1>>);
    impl ModuleVisitor for Collect {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.0.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.0.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad() {
                let weight = param.val().inner();
                let count = weight.dims().iter().product::<usize>();
                self.1.insert(self.0.join("."), weight.reshape([count]));
            }
        }
    }
    let mut collect = Collect(vec![], BTreeMap::new());
    model.visit(&mut collect);
    collect.1
}

struct Averaged<'a> {
    averages: &'a BTreeMap<String, Tensor<1>>,
    path: Vec<String>,
}

impl ModuleMapper for Averaged<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(average) = self.averages.get(&self.path.join(".")) else { return param };
        let (id, tensor, mapper) = param.consume();
        let average = Tensor::from_inner(average.clone().reshape::<D, _>(tensor.dims())).require_grad();
        Param::from_mapped_value(id, average, mapper)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::model::{Decoder, DecoderConfig};

    fn embedding(model: &Decoder) -> Vec<f32> {
        model.token_embedding.val().into_data().try_to_vec().unwrap()
    }

    #[test]
    fn the_average_follows_the_weights_by_its_decay_and_survives_a_checkpoint() {
        let device = Device::flex();
        let config = DecoderConfig::preset("llama-tiny").unwrap().with_vocabulary(11, None, vec![2], None);
        let [first, second] = [1, 2].map(|seed| Decoder::init_with_seed(&config, seed, &device).train());
        let mut ema = Ema::of(&first, 0.75).unwrap();
        ema.update(&second);
        let found = embedding(&ema.averaged(&second));
        for ((found, a), b) in found.iter().zip(embedding(&first)).zip(embedding(&second)) {
            assert!((found - (0.75 * a + 0.25 * b)).abs() < 1e-7, "{found}, {a}, {b}");
        }

        let mut tensors = Tensors::new();
        ema.store("ema.", &mut tensors);
        let mut read = Ema::of(&first, 0.75).unwrap();
        read.restore("ema.", &mut tensors);
        assert_eq!(embedding(&read.averaged(&first)), found);
        assert!(tensors.is_empty());
        assert!(Ema::of(&first, 0.0).is_none());
    }
}
