//! Rules and requests as plain descriptions, from which both evaluators are fed.

#[derive(Clone, Debug)]
pub(crate) enum Config {
    Rules { action: Action, policies: Vec<Policy> },
    Tree(Tree),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Action {
    Allow,
    Deny,
    Log,
}

#[derive(Clone, Debug)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) permissions: Vec<Formula>,
    pub(crate) principals: Vec<Formula>,
}

#[derive(Clone, Debug)]
pub(crate) enum Formula {
    Always,
    And(Vec<Formula>),
    Or(Vec<Formula>),
    Not(Box<Formula>),
    Leaf(Leaf),
}

#[derive(Clone, Debug)]
pub(crate) enum Leaf {
    Header { name: &'static str, ask: Ask, invert: bool, missing_is_empty: bool },
    UrlPath(Text),
    Template(&'static str),
    DestinationIp(Net),
    DestinationPort(u16, u32),
    SourceIp(Net),
    ServerName(Text),
    Authenticated(Option<Text>),
    Certificate(Option<(San, Text)>),
    Metadata { of_route: bool, path: Vec<&'static str>, ask: Content, invert: bool },
    Input(Input, Text),
}

/// What leaves and branches are counted as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Header,
    UrlPath,
    Template,
    DestinationIp,
    DestinationPort,
    SourceIp,
    ServerName,
    Authenticated,
    Certificate,
    Metadata,
    RouteMetadata,
    Input,
}

pub(crate) const KINDS: [Kind; 12] = [
    Kind::Header,
    Kind::UrlPath,
    Kind::Template,
    Kind::DestinationIp,
    Kind::DestinationPort,
    Kind::SourceIp,
    Kind::ServerName,
    Kind::Authenticated,
    Kind::Certificate,
    Kind::Metadata,
    Kind::RouteMetadata,
    Kind::Input,
];

impl Leaf {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Header { .. } => Kind::Header,
            Self::UrlPath(_) => Kind::UrlPath,
            Self::Template(_) => Kind::Template,
            Self::DestinationIp(_) => Kind::DestinationIp,
            Self::DestinationPort(..) => Kind::DestinationPort,
            Self::SourceIp(_) => Kind::SourceIp,
            Self::ServerName(_) => Kind::ServerName,
            Self::Authenticated(_) => Kind::Authenticated,
            Self::Certificate(_) => Kind::Certificate,
            Self::Metadata { of_route: false, .. } => Kind::Metadata,
            Self::Metadata { of_route: true, .. } => Kind::RouteMetadata,
            Self::Input(..) => Kind::Input,
        }
    }
}

#[derive(Clone, Debug)]
pub(crate) enum Ask {
    Text(Text),
    Range(i64, i64),
    Present(bool),
}

#[derive(Clone, Debug)]
pub(crate) struct Text {
    pub(crate) form: Form,
    pub(crate) text: &'static str,
    pub(crate) any_case: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Form {
    Exact,
    Prefix,
    Suffix,
    Contains,
    /// In the text `?` stands for one byte and `*` for any number; everything else for itself.
    Regex,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Net {
    pub(crate) address: &'static str,
    pub(crate) bits: u8,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum San {
    Uri,
    Dns,
}

#[derive(Clone, Debug)]
pub(crate) enum Content {
    Null,
    Bool(bool),
    Number(i8),
    Range(i8, i8),
    Text(Text),
    Present,
    OneOf(Box<Content>),
    Either(Vec<Content>),
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Input {
    Header(&'static str),
    ServerName,
    SourceIp,
    DestinationPort,
    Uris,
    Dns,
    Subject,
}

#[derive(Clone, Debug)]
pub(crate) struct Tree {
    pub(crate) branches: Branches,
    pub(crate) otherwise: Option<Target>,
}

#[derive(Clone, Debug)]
pub(crate) enum Branches {
    List(Vec<(Formula, Target)>),
    Exact(Input, Vec<(&'static str, Target)>),
    Prefix(Input, Vec<(&'static str, Target)>),
}

#[derive(Clone, Debug)]
pub(crate) enum Target {
    Act(String, Action),
    Tree(Box<Tree>),
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) grpc: bool,
    pub(crate) method: &'static str,
    pub(crate) authority: &'static str,
    pub(crate) path: &'static str,
    pub(crate) query: Option<&'static str>,
    pub(crate) headers: Vec<(&'static str, &'static [u8])>,
    pub(crate) metadata: Option<Value>,
    pub(crate) route: Option<Option<Value>>,
    pub(crate) peer: Option<Peer>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// Addresses with ports; `None` on a Unix domain socket.
    pub(crate) addresses: Option<(&'static str, u16, &'static str, u16)>,
    pub(crate) tls: Option<Tls>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Tls {
    pub(crate) server_name: Option<&'static str>,
    pub(crate) certificate: Option<Certificate>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Certificate {
    pub(crate) uris: Vec<&'static str>,
    pub(crate) dns: Vec<&'static str>,
    pub(crate) subject: &'static str,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    Number(i8),
    Text(&'static str),
    List(Vec<Value>),
    Struct(Vec<(&'static str, Value)>),
}

impl Config {
    pub(crate) fn each_leaf(&self, see: &mut dyn FnMut(&Leaf)) {
        match self {
            Self::Rules { policies, .. } => {
                for policy in policies {
                    let parts = policy.permissions.iter().chain(&policy.principals);
                    parts.for_each(|part| part.each_leaf(see));
                }
            }
            Self::Tree(tree) => tree.each_leaf(see),
        }
    }
}

impl Formula {
    fn each_leaf(&self, see: &mut dyn FnMut(&Leaf)) {
        match self {
            Self::Always => {}
            Self::And(parts) | Self::Or(parts) => parts.iter().for_each(|part| part.each_leaf(see)),
            Self::Not(inner) => inner.each_leaf(see),
            Self::Leaf(leaf) => see(leaf),
        }
    }
}

impl Tree {
    fn each_leaf(&self, see: &mut dyn FnMut(&Leaf)) {
        let mut targets: Vec<&Target> = self.otherwise.iter().collect();
        match &self.branches {
            Branches::List(list) => {
                for (formula, target) in list {
                    formula.each_leaf(see);
                    targets.push(target);
                }
            }
            Branches::Exact(_, map) | Branches::Prefix(_, map) => {
                targets.extend(map.iter().map(|(_, target)| target));
            }
        }
        for target in targets {
            match target {
                Target::Act(..) => {}
                Target::Tree(tree) => tree.each_leaf(see),
            }
        }
    }
}
