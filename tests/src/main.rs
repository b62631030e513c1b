//! System tests: a real PostgreSQL, the real server, real clients. One binary, because linking is what costs.

#![recursion_limit = "256"]

mod database;
mod emitted;
mod house;
mod http;
mod library;
mod migrations;
mod rules;
mod support;
