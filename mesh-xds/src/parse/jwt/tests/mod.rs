mod fetched;
mod kit;
mod missing;
mod refused;
mod requests;
