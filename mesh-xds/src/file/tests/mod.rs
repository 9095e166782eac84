mod check;
mod errors;
mod print;
mod read;
mod tree;
mod watch;
