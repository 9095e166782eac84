mod connections;
mod global;
mod kit;
mod local;
mod refused;
mod rules;
