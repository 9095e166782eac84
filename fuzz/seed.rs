//! Makes inputs of the corpus from files of resources: `cargo run --bin seed -- FILE...` in `fuzz/`.

use std::collections::hash_map::DefaultHasher;
use std::error::Error;
use std::hash::{Hash, Hasher};
use std::path::Path;

use mesh_xds::name::ResourceType;

fn main() -> Result<(), Box<dyn Error>> {
    for file in std::env::args().skip(1) {
        let text = std::fs::read_to_string(&file)?;
        write("files", text.as_bytes())?;
        for resource in mesh_xds::file::parse(&text, Path::new(&file))? {
            let folder = match ResourceType::from_url(&resource.type_url) {
                Some(ResourceType::Listener) => "listeners",
                Some(ResourceType::RouteConfiguration) => "routes",
                Some(ResourceType::Cluster) => "clusters",
                Some(ResourceType::ClusterLoadAssignment) => "endpoints",
                _ => continue,
            };
            write(folder, &resource.value)?;
        }
    }
    Ok(())
}

fn write(folder: &str, input: &[u8]) -> std::io::Result<()> {
    let mut hasher = DefaultHasher::new();
    input.hash(&mut hasher);
    let folder = Path::new("corpus").join(folder);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join(format!("{:016x}", hasher.finish())), input)
}
