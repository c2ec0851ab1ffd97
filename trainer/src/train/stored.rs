//! The weights that learn, as a checkpoint holds them: from a module by the names of its parts, and back.

use std::{borrow::Cow, collections::BTreeMap};

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    tensor::{Tensor, TensorData},
};
use safetensors::{Dtype, tensor::View};

use super::error::TrainError;

/// One tensor of a checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Stored {
    pub shape: Vec<usize>,
    pub values: Vec<f32>,
}

/// The tensors of a checkpoint by name.
pub type Tensors = BTreeMap<String, Stored>;

impl Stored {
    pub fn of<const D: usize>(tensor: Tensor<D>) -> Self {
        let shape = tensor.dims().to_vec();
        let data = tensor.into_data_as::<f32>();
        Self { shape, values: data.try_to_vec().expect("the data was just converted to f32") }
    }

    pub fn number(value: f32) -> Self {
        Self { shape: vec![1], values: vec![value] }
    }
}

impl View for &Stored {
    fn dtype(&self) -> Dtype {
        Dtype::F32
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Owned(self.values.iter().flat_map(|value| value.to_le_bytes()).collect())
    }

    fn data_len(&self) -> usize {
        4 * self.values.len()
    }
}

/// Adds every weight that learns, named by its path in the module.
pub fn store_learned<M: Module>(prefix: &str, module: &M, tensors: &mut Tensors) {
    struct Store<'a>(&'a str, Vec<String>, &'a mut Tensors);
    impl ModuleVisitor for Store<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.1.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.1.pop();
        }
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad() {
                self.2.insert(format!("{}{}", self.0, self.1.join(".")), Stored::of(param.val().inner()));
            }
        }
    }
    module.visit(&mut Store(prefix, vec![], tensors));
}

/// How many numbers learn.
pub fn count_learned<M: Module>(module: &M) -> u64 {
    struct Count(u64);
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad() {
                self.0 += param.val().dims().iter().product::<usize>() as u64;
            }
        }
    }
    let mut count = Count(0);
    module.visit(&mut count);
    count.0
}

/// The module with the weights that learn taken from a checkpoint. Fails when one is missing or has another shape.
pub fn restore_learned<M: Module>(prefix: &str, module: M, tensors: &mut Tensors) -> Result<M, TrainError> {
    struct Restore<'a>(&'a str, Vec<String>, &'a mut Tensors, Option<String>);
    impl ModuleMapper for Restore<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.1.push(name.into());
        }
        fn exit_module(&mut self, _: &str, _: &str) {
            self.1.pop();
        }
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            if !param.is_require_grad() {
                return param;
            }
            let name = format!("{}{}", self.0, self.1.join("."));
            let (id, tensor, mapper) = param.consume();
            let tensor = match self.2.remove(&name) {
                Some(stored) if stored.shape == tensor.dims() => {
                    let device = tensor.device();
                    Tensor::from_data(TensorData::new(stored.values, tensor.dims()), &device).require_grad()
                }
                _ => {
                    self.3.get_or_insert(name);
                    tensor
                }
            };
            Param::from_mapped_value(id, tensor, mapper)
        }
    }
    let mut restore = Restore(prefix, vec![], tensors, None);
    let module = module.map(&mut restore);
    match restore.3 {
        None => Ok(module),
        Some(name) => Err(TrainError::Input(format!(
            "the checkpoint does not fit the model: {name} is missing or has another shape"
        ))),
    }
}
