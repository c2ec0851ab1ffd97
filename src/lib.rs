//! Laurel's server: collects preferences in the browser and hands them to the trainer.

pub mod api;
pub mod backup;
pub mod chat;
pub mod cli;
pub mod config;
pub mod db;
pub mod domain;
pub mod export;
pub mod i18n;
pub mod import;
pub mod jobs;
pub mod sample;
pub mod web;
