//! Dashboards show the sums of the tables to those who may see them; broadcasts and copies of events. By the number of
//! the requirement.

mod broadcast_bodies;
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
