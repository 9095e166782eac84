mod fetched;
mod kit;
mod refused;
mod requests;
