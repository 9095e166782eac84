//! Over sockets: what clients see of the server, and the server of its clients.

mod delta;
mod directory;
mod kit;
mod sotw;
