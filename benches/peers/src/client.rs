//! The peers' channels.

use std::net::SocketAddr;

use bytes::Bytes;
use http::Uri;
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tonic::transport::{Channel, Endpoint};
use tonic_xds::{
    BootstrapConfig, ChannelCredentialType, XdsChannelBuilder, XdsChannelConfig, XdsChannelGrpc,
    XdsUri,
};

use crate::resources::NAME;
use crate::shared::{Error, Run};

/// Runs the client that the command line describes.
///
/// # Errors
/// The command line is wrong, or a call failed.
pub fn client() -> Result<(), Error> {
    let run = Run::from_args()?;
    Run::block_on(async {
        match run.kind.as_str() {
            "tonic" => run.grpc(endpoint(&run.address()?)?.connect().await?).await,
            "tonic-balance" => run.grpc(balance(&run.addresses)?).await,
            "tonic-xds" => run.grpc(xds(run.address()?)?).await,
            "hyper-util" => hyper_util_client(&run).await,
            other => Err(format!("unknown kind {other}").into()),
        }
    })
}

fn endpoint(address: &SocketAddr) -> Result<Endpoint, Error> {
    Ok(Endpoint::from_shared(format!("http://{address}"))?)
}

fn balance(addresses: &[SocketAddr]) -> Result<Channel, Error> {
    let endpoints = addresses.iter().map(endpoint).collect::<Result<Vec<_>, _>>()?;
    Ok(Channel::balance_list(endpoints.into_iter()))
}

/// `control_plane` needs a scheme here: this version takes a bare `host:port` and then hangs.
fn xds(control_plane: SocketAddr) -> Result<XdsChannelGrpc, Error> {
    let bootstrap = BootstrapConfig::builder(format!("http://{control_plane}"))
        .channel_creds([ChannelCredentialType::Insecure])
        .node_id("bench")
        .build()?;
    let target = XdsUri::parse(&format!("xds:///{NAME}"))?;
    let config = XdsChannelConfig::new(target).with_bootstrap(bootstrap);
    Ok(XdsChannelBuilder::new(config).build_grpc_channel()?)
}

async fn hyper_util_client(run: &Run) -> Result<(), Error> {
    let uri = Uri::try_from(format!("http://{}/", run.address()?))?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    run.http(uri, move |uri| {
        let response = client.get(uri);
        async move { Ok(response.await?.into_body().collect().await?.to_bytes()) }
    })
    .await
}
