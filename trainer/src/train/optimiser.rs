//! AdamW over a module: gradients are summed over micro-batches, divided once, clipped together, applied. In float16 they are
//! those of a scaled loss on the way back.

use std::{collections::BTreeMap, ops::Add};

use burn::{
    module::{Module, ModuleMapper, ModuleVisitor, Param},
    optim::{AdamW, AdamWConfig, AdamWState, AdaptiveMomentumState, GradientsAccumulator, GradientsParams, Optimizer},
    tensor::{Tensor, TensorData},
};

use super::{
    error::TrainError,
    loss_scale::{LossScale, power_of_two},
    settings::{AdamSettings, Shared},
    stored::{Stored, Tensors},
};
use crate::{
    fused::{self, Step, Weights},
    model::{Precision, recompute},
    profile,
};

/// Sums the gradients of micro-batches together with what they are to be divided by.
///
/// The division happens once for the whole batch: a mean of means would weigh short micro-batches more.
pub struct Accumulator<M> {
    gradients: GradientsAccumulator<M>,
    weight: f64,
    loss: f64,
    /// What a mean loss is multiplied by on the way back.
    loss_scale: Option<f64>,
}

impl<M: Module> Accumulator<M> {
    /// Of losses as they are; [`Optimiser::accumulator`] gives one that scales them where that is needed.
    pub fn new() -> Self {
        Self { gradients: GradientsAccumulator::new(), weight: 0.0, loss: 0.0, loss_scale: None }
    }

    /// Adds the gradient of `sum`, a loss that is summed over `weight` tokens (or pairs, or prompts).
    pub fn add(&mut self, module: &M, sum: Tensor<1>, weight: f64) {
        self.loss += f64::from(sum.clone().inner().into_scalar::<f32>());
        self.weight += weight;
        let _part = profile::backward("other");
        let Some(scale) = self.loss_scale else {
            recompute::backward(sum, module, |gradients| self.gradients.accumulate(module, gradients));
            return;
        };
        // The scale is of a mean: what is added without a weight is a part of the mean so far.
        let per = if weight > 0.0 { weight } else { self.weight };
        let factor = power_of_two(scale / per.max(1.0));
        recompute::backward(sum * factor, module, |gradients| {
            self.gradients.accumulate(module, multiplied(module, gradients, 1.0 / factor));
        });
    }

    /// The mean loss so far.
    pub fn mean_loss(&self) -> f64 {
        self.loss / self.weight.max(1.0)
    }
}

impl<M: Module> Default for Accumulator<M> {
    fn default() -> Self {
        Self::new()
    }
}

/// The gradients of `module`, each times `factor`.
fn multiplied<M: Module>(module: &M, gradients: GradientsParams, factor: f64) -> GradientsParams {
    struct Multiply(GradientsParams, f64);
    impl ModuleVisitor for Multiply {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.remove::<D>(param.id) {
                self.0.register(param.id, gradient * self.1);
            }
        }
    }
    let mut multiply = Multiply(gradients, factor);
    module.visit(&mut multiply);
    multiply.0
}

/// AdamW with its moments. Parameters are known by their path in the module, so that the state outlives the process.
pub struct Optimiser {
    settings: AdamSettings,
    matrices: AdamW,
    vectors: AdamW,
    moments: BTreeMap<String, Moments>,
    /// Of gradients that are computed in float16.
    loss_scale: Option<LossScale>,
}

/// Running means of one parameter's gradient and of its square, flat.
struct Moments {
    time: usize,
    first: Tensor<1>,
    second: Tensor<1>,
}

impl Optimiser {
    pub fn new(settings: AdamSettings) -> Self {
        let with_decay = |decay: f64| {
            AdamWConfig::new()
                .with_beta_1(settings.beta1 as f32)
                .with_beta_2(settings.beta2 as f32)
                .with_epsilon(settings.epsilon as f32)
                .with_weight_decay(decay as f32)
                .build()
        };
        Self {
            settings,
            matrices: with_decay(settings.weight_decay),
            vectors: with_decay(0.0),
            moments: BTreeMap::new(),
            loss_scale: None,
        }
    }

    /// The optimiser of a stage with these settings.
    pub fn of(shared: &Shared) -> Self {
        let loss_scale = (shared.precision == Precision::Float16).then(LossScale::new);
        Self { loss_scale, ..Self::new(shared.adam) }
    }

    /// What gathers the gradients of this optimiser's next step.
    pub fn accumulator<M: Module>(&self) -> Accumulator<M> {
        Accumulator { loss_scale: self.loss_scale(), ..Accumulator::new() }
    }

    /// What a mean loss is multiplied by; `None` where none is.
    pub fn loss_scale(&self) -> Option<f64> {
        self.loss_scale.map(|scale| scale.scale())
    }

    /// Steps in a row, up to the last one, that were left out: they changed no weight.
    pub fn left_out(&self) -> usize {
        self.loss_scale.map_or(0, |scale| scale.left_out())
    }

    /// One step against the accumulated gradient. Returns the module and the norm that the gradient had before it was
    /// cut. A gradient that is not finite changes nothing: the run is over. In float16, where it may have been scaled too
    /// much, the step is left out instead, with a norm of 0, until no lower scale is left. Whatever was to be differentiated
    /// is by now, the losses of other models too.
    pub fn step<M: Module>(
        &mut self,
        module: M,
        accumulated: Accumulator<M>,
        rate: f64,
    ) -> Result<(M, f64), TrainError> {
        let _part = profile::part("optimiser");
        recompute::forget_passes();
        let Accumulator { mut gradients, weight, loss, loss_scale: _ } = accumulated;
        let gradients = gradients.grads();
        let mean = 1.0 / weight.max(1.0);
        let norm = norm(&module, &gradients) * mean;
        match &mut self.loss_scale {
            _ if !loss.is_finite() => return Err(TrainError::NotFinite { what: "loss" }),
            Some(scale) if norm.is_finite() => scale.held(),
            Some(scale) => {
                scale.overflowed()?;
                return Ok((module, 0.0));
            }
            None if norm.is_finite() => {}
            None => return Err(TrainError::NotFinite { what: "gradient" }),
        }
        let limit = self.settings.max_grad_norm;
        // PyTorch's clip_grad_norm_ has the same small number, so that a gradient of zero is divided by something.
        let cut = if limit > 0.0 { (limit / (norm + 1e-6)).min(1.0) } else { 1.0 };
        let mut update = Update { optimiser: self, gradients, scale: mean * cut, rate, path: vec![] };
        Ok((module.map(&mut update), norm))
    }

    /// The moments and the scale of the loss, for a checkpoint.
    pub fn store(&self, prefix: &str, tensors: &mut Tensors) {
        if let Some(scale) = &self.loss_scale {
            scale.store(prefix, tensors);
        }
        for (path, moments) in &self.moments {
            let flat = |tensor: &Tensor<1>| Stored::of(tensor.clone());
            tensors.insert(format!("{prefix}{path}#first"), flat(&moments.first));
            tensors.insert(format!("{prefix}{path}#second"), flat(&moments.second));
            tensors.insert(format!("{prefix}{path}#time"), Stored::number(moments.time as f32));
        }
    }

    /// What [`Self::store`] stored, back into an optimiser of the same module.
    pub fn restore<M: Module>(&mut self, prefix: &str, module: &M, tensors: &mut Tensors) {
        if let Some(scale) = &mut self.loss_scale {
            scale.restore(prefix, tensors);
        }
        let mut restore = Restore { optimiser: self, tensors, prefix, path: vec![] };
        module.visit(&mut restore);
    }
}

fn norm<M: Module>(module: &M, gradients: &GradientsParams) -> f64 {
    struct Squares<'a>(&'a GradientsParams, Vec<Tensor<1>>, f64);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                match fused::sum_of_squares(&gradient) {
                    Some(sum) => self.2 += sum,
                    None => self.1.push(gradient.square().sum()),
                }
            }
        }
    }
    let mut squares = Squares(gradients, vec![], 0.0);
    module.visit(&mut squares);
    if squares.1.is_empty() {
        return squares.2.sqrt();
    }
    let fused = squares.2;
    let squares: Vec<f32> = values(Tensor::cat(squares.1, 0));
    squares.iter().map(|square| f64::from(*square)).sum::<f64>().add(fused).sqrt()
}

fn values(tensor: Tensor<1>) -> Vec<f32> {
    tensor.into_data_as::<f32>().try_to_vec().expect("the data was just converted to f32")
}

struct Update<'a> {
    optimiser: &'a mut Optimiser,
    gradients: GradientsParams,
    scale: f64,
    rate: f64,
    path: Vec<String>,
}

impl Update<'_> {
    /// The constants of the step number `time` for a parameter of `D` dimensions: vectors don't decay.
    fn step_of<const D: usize>(&self, time: usize) -> Step {
        let settings = &self.optimiser.settings;
        Step {
            rate: self.rate as f32,
            beta1: settings.beta1 as f32,
            beta2: settings.beta2 as f32,
            epsilon: settings.epsilon as f32,
            weight_decay: if D >= 2 { settings.weight_decay as f32 } else { 0.0 },
            scale: self.scale as f32,
            time: time as i32,
        }
    }
}

impl ModuleMapper for Update<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let (id, tensor, mapper) = param.consume();
        let Some(gradient) = self.gradients.remove::<D>(id) else {
            return Param::from_mapped_value(id, tensor, mapper);
        };
        let (path, shape) = (self.path.join("."), tensor.dims());
        let mut moments = self.optimiser.moments.remove(&path);
        let tensor = tensor.inner();
        let count = shape.iter().product::<usize>();
        let (first, second) = match &moments {
            Some(moments) => (moments.first.clone(), moments.second.clone()),
            None => (Tensor::zeros([count], &tensor.device()), Tensor::zeros([count], &tensor.device())),
        };
        let weights = Weights { values: tensor, first, second };
        if weights.can_step(&gradient) {
            let time = moments.take().map_or(0, |moments| moments.time) + 1;
            let Weights { values, first, second } = weights.step(&gradient, &self.step_of::<D>(time));
            self.optimiser.moments.insert(path, Moments { time, first, second });
            return Param::from_mapped_value(id, Tensor::from_inner(values).require_grad(), mapper);
        }
        let tensor = weights.values;
        let state = moments.map(|moments| {
            let momentum = AdaptiveMomentumState::new(
                moments.time,
                moments.first.reshape::<D, _>(shape),
                moments.second.reshape::<D, _>(shape),
            );
            AdamWState::new(momentum)
        });
        let adam = if D >= 2 { &self.optimiser.matrices } else { &self.optimiser.vectors };
        let (updated, state) = adam.step(self.rate, tensor, gradient * self.scale, state);
        if let Some(AdamWState { momentum }) = state {
            let flat = |tensor: Tensor<D>| tensor.reshape([count]);
            let moments =
                Moments { time: momentum.time, first: flat(momentum.moment_1), second: flat(momentum.moment_2) };
            self.optimiser.moments.insert(path, moments);
        }
        Param::from_mapped_value(id, Tensor::from_inner(updated).require_grad(), mapper)
    }
}

struct Restore<'a> {
    optimiser: &'a mut Optimiser,
    tensors: &'a mut Tensors,
    prefix: &'a str,
    path: Vec<String>,
}

impl ModuleVisitor for Restore<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.into());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let (path, device) = (self.path.join("."), param.device().inner());
        let mut take = |part: &str| self.tensors.remove(&format!("{}{path}#{part}", self.prefix));
        if let (Some(first), Some(second), Some(time)) = (take("first"), take("second"), take("time")) {
            let flat = |stored: Stored| {
                let length = stored.values.len();
                Tensor::from_data(TensorData::new(stored.values, [length]), &device)
            };
            let time = time.values.first().copied().unwrap_or_default() as usize;
            self.optimiser.moments.insert(path, Moments { time, first: flat(first), second: flat(second) });
        }
    }
}

#[cfg(test)]
mod tests;
