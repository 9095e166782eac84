//! The processes that clients call.

use std::path::Path;
use std::process::Command;

use mesh_benches::Process;
use mesh_benches::shared::Error;

/// Which address a client is given.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Target {
    /// One gRPC endpoint.
    Endpoint,
    /// All eight gRPC endpoints.
    Endpoints,
    /// The peers' control plane, which knows the eight endpoints and one route.
    ControlPlane,
    /// The mesh's own control plane, which knows the fixture.
    Mesh,
    /// The HTTP/1.1 endpoint.
    Http1,
    /// The mesh's own server.
    Plain,
    /// The same with TLS.
    Secured,
    /// None: it is a server itself, and called by tonic's client.
    Itself,
    /// The same, called by the mesh's client with TLS.
    ItselfSecured,
}

/// Ends with this value.
#[derive(Debug)]
pub(crate) struct Servers {
    grpc: Vec<String>,
    http1: Vec<String>,
    control_plane: Vec<String>,
    mesh: Vec<String>,
    plain: Vec<String>,
    secured: Vec<String>,
    _processes: [Process; 4],
}

impl Servers {
    /// Starts the peers' servers, and the control plane that tells the mesh of them.
    pub(crate) fn start(
        servers: &Path,
        control_plane: &Path,
        server: &Path,
    ) -> Result<Self, Error> {
        let words = |line: String| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let mut peers = Process::start(&mut Command::new(servers))?;
        let grpc = words(peers.hear("grpc")?);
        let http1 = words(peers.hear("http1")?);
        let ads = words(peers.hear("ads")?);

        let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/mesh.yaml");
        let mut mesh =
            Process::start(Command::new(control_plane).arg(fixture).args(&grpc).args(&http1))?;
        let address = words(mesh.hear("ads")?);
        let mut first = Process::start(&mut Command::new(server))?;
        let plain = words(first.hear("grpc")?);
        let mut second = Process::start(Command::new(server).arg("tls"))?;
        let secured = words(second.hear("grpc")?);
        let _processes = [peers, mesh, first, second];
        Ok(Self { grpc, http1, control_plane: ads, mesh: address, plain, secured, _processes })
    }

    pub(crate) fn addresses(&self, target: Target) -> &[String] {
        match target {
            Target::Endpoint => self.grpc.get(..1).unwrap_or_default(),
            Target::Endpoints => &self.grpc,
            Target::ControlPlane => &self.control_plane,
            Target::Mesh => &self.mesh,
            Target::Http1 => &self.http1,
            Target::Plain => &self.plain,
            Target::Secured => &self.secured,
            Target::Itself | Target::ItselfSecured => &[],
        }
    }
}
