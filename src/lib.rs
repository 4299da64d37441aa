#![doc = include_str!("ARCHITECTURE.md")]

pub mod auth;
pub mod backplane;
pub mod bench;
pub mod cli;
pub mod config;
pub mod domain;
pub mod error;
pub mod feed;
pub mod http;
pub mod hub;
pub mod rest;
pub mod socket;
pub mod store;
pub mod wire;
pub mod ws;
