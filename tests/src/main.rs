//! System tests: a real PostgreSQL, the real server, real clients. One binary, because linking is what costs.

#![recursion_limit = "256"]

mod abuse;
mod calendars;
mod cost;
mod dashboards;
mod database;
mod delivery;
mod discovery;
mod emitted;
mod endings;
mod fraud;
mod house;
mod http;
mod jobs;
mod journey;
mod library;
mod lists;
mod mail;
mod marketplace;
mod media;
mod migrations;
mod money;
mod notifications;
mod pairs;
mod rules;
mod support;
mod trending;
