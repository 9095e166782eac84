pub(crate) mod kit;
mod vectors;
