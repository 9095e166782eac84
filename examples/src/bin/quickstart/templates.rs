//! The resources: YAML with a `${name}` where the port of a backend goes.

use std::{collections::BTreeMap, error::Error, fs, path::Path};

use mesh_xds::{control_plane::ResourceSet, file};

/// The files, and what is in them if nobody brings others.
const FILES: [(&str, &str); 6] = [
    ("base.yaml", include_str!("../../../resources/quickstart/base.yaml")),
    ("endpoints.yaml", include_str!("../../../resources/quickstart/endpoints.yaml")),
    (
        "endpoints-drained.yaml",
        include_str!("../../../resources/quickstart/endpoints-drained.yaml"),
    ),
    ("routes-canary.yaml", include_str!("../../../resources/quickstart/routes-canary.yaml")),
    ("routes-header.yaml", include_str!("../../../resources/quickstart/routes-header.yaml")),
    ("routes-v2.yaml", include_str!("../../../resources/quickstart/routes-v2.yaml")),
];

/// Texts by the names of their files.
#[derive(Debug)]
pub(crate) struct Templates(BTreeMap<&'static str, String>);

impl Templates {
    /// Those that come with the program.
    pub(crate) fn built_in() -> Self {
        Self(FILES.iter().map(|(name, text)| (*name, (*text).to_owned())).collect())
    }

    /// Files of the same names in `directory`.
    pub(crate) fn read(directory: &Path) -> Result<Self, Box<dyn Error + Send + Sync>> {
        let read = |(name, _): &(&'static str, &str)| {
            let path = directory.join(name);
            let text = fs::read_to_string(&path);
            text.map(|text| (*name, text)).map_err(|e| format!("{}: {e}", path.display()).into())
        };
        FILES.iter().map(read).collect::<Result<_, _>>().map(Self)
    }

    /// The resources in `files` together, with the ports filled in.
    pub(crate) fn resources(
        &self,
        files: &[&str],
        ports: &[(String, u16)],
    ) -> Result<ResourceSet, Box<dyn Error + Send + Sync>> {
        let mut resources = Vec::new();
        for name in files {
            let text = self.0.get(name).ok_or_else(|| format!("there is no {name}"))?;
            let text = ports.iter().fold(text.clone(), |text, (backend, port)| {
                text.replace(&format!("${{{backend}}}"), &port.to_string())
            });
            resources.extend(file::parse(&text, Path::new(name))?);
        }
        Ok(resources.into_iter().collect())
    }
}
