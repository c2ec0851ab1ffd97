//! Whole stages on a tiny model and a language of forty words: what they learn, what a kill leaves, what is refused.
#![allow(clippy::unwrap_used)]

mod adapters;
mod averages;
mod ends;
mod full;
mod judged;
mod killed;
mod learning;
mod methods;
mod night;
mod ppo;
mod precision;
mod refusals;
mod resumed;
mod reward;
mod room;
mod seen;
mod splits;
mod world;
