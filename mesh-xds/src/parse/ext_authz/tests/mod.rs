mod body;
mod grpc;
mod http;
mod kit;
mod refused;
