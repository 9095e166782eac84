use http::{HeaderMap, HeaderName, HeaderValue};

/// What a server's route changes about header fields, at all of its levels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldRules {
    /// Of requests, once all filters have let them pass (Envoy's `request_headers_to_*`).
    pub request: Vec<FieldChanges>,
    /// Of the service's responses, before filters see them (`response_headers_to_*`).
    pub response: Vec<FieldChanges>,
}

/// What one level changes: a route, its virtual host or the whole table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FieldChanges {
    /// Fields that are removed, first.
    pub remove: Vec<HeaderName>,
    /// Fields that are added then.
    pub add: Vec<NewField>,
}

/// A field that is added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewField {
    /// Its name.
    pub name: HeaderName,
    /// Its value, the same for all requests.
    pub value: HeaderValue,
    /// What becomes of a field of this name that is there.
    pub placing: Placing,
}

/// What becomes of a field that is there (Envoy's `HeaderAppendAction`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Placing {
    /// The new one stands beside it (`APPEND_IF_EXISTS_OR_ADD`).
    #[default]
    Append,
    /// It stays, and there is no new one (`ADD_IF_ABSENT`).
    IfAbsent,
    /// The new one takes its place (`OVERWRITE_IF_EXISTS_OR_ADD`).
    Overwrite,
    /// The same, and if none is there, there is no new one (`OVERWRITE_IF_EXISTS`).
    OverwriteIfPresent,
}

impl FieldRules {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.request.is_empty() && self.response.is_empty()
    }
}

impl FieldChanges {
    /// Whether nothing is changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.add.is_empty()
    }

    /// Makes the changes. As in Envoy, conditions are about what is there after the removals, and
    /// fields that take the place of others come before those that stand beside them.
    pub fn apply(&self, headers: &mut HeaderMap) {
        let (overwrite, append) = self.wanted(headers);
        for name in &self.remove {
            headers.remove(name);
        }
        // A map that is full, as no message can be, is left as it is rather than panicking.
        for field in overwrite {
            let _ = headers.try_insert(field.name.clone(), field.value.clone());
        }
        for field in append {
            let _ = headers.try_append(field.name.clone(), field.value.clone());
        }
    }

    /// The fields that are added where `present` are there: those that take the place of others,
    /// and those that stand beside them.
    pub(crate) fn wanted(&self, present: &HeaderMap) -> (Vec<&NewField>, Vec<&NewField>) {
        let stays = |name| present.contains_key(name) && !self.remove.contains(name);
        let wanted = self.add.iter().filter(|field| match field.placing {
            Placing::Append | Placing::Overwrite => true,
            Placing::IfAbsent => !stays(&field.name),
            Placing::OverwriteIfPresent => stays(&field.name),
        });
        wanted.partition(|field| {
            matches!(field.placing, Placing::Overwrite | Placing::OverwriteIfPresent)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_removed_and_then_added_as_each_one_says() {
        let field = |name: &'static str, placing| NewField {
            name: HeaderName::from_static(name),
            value: HeaderValue::from_static("new"),
            placing,
        };
        let changes = FieldChanges {
            remove: vec![HeaderName::from_static("x-gone"), HeaderName::from_static("x-again")],
            add: vec![
                field("x-append", Placing::Append),
                field("x-again", Placing::IfAbsent),
                field("x-there", Placing::IfAbsent),
                field("x-over", Placing::Overwrite),
                field("x-fresh", Placing::Overwrite),
                field("x-over-there", Placing::OverwriteIfPresent),
                field("x-over-none", Placing::OverwriteIfPresent),
                field("x-fresh", Placing::Append),
            ],
        };
        let mut headers = HeaderMap::new();
        for name in ["x-gone", "x-again", "x-append", "x-there", "x-over", "x-over-there"] {
            headers.insert(name, HeaderValue::from_static("old"));
            headers.append(name, HeaderValue::from_static("older"));
        }
        changes.apply(&mut headers);
        let mut found: Vec<_> = headers
            .keys()
            .map(|name| {
                let all = headers.get_all(name).iter().map(|value| value.to_str().unwrap());
                format!("{name}: {}", all.collect::<Vec<_>>().join(" "))
            })
            .collect();
        found.sort_unstable();
        let expect = [
            "x-again: new",
            "x-append: old older new",
            "x-fresh: new new",
            "x-over-there: new",
            "x-over: new",
            "x-there: old older",
        ];
        assert_eq!(found, expect);
    }
}
