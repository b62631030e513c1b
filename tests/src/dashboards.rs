//! Dashboards show what the tables add up to, to those who may know; broadcasts and copies of events. By the number of the
//! requirement.

mod broadcasts;
mod city;
mod copies;
mod event;
mod host;
mod member;
mod plans;
mod platform;
mod whole;
mod world;
