//! Which paths and modules a source file names, outside comments, strings and `#[cfg(test)]`.

use crate::lexer::{Kind, Token, tokens};

/// What one file says.
#[derive(Default)]
pub(crate) struct Scan {
    pub(crate) paths: Vec<Named>,
    /// The modules it declares, with the inline modules they are in.
    pub(crate) modules: Vec<Vec<String>>,
    /// Those that are there for tests only.
    pub(crate) test_modules: Vec<Vec<String>>,
}

/// A path as it is written.
pub(crate) struct Named {
    pub(crate) line: usize,
    /// The inline modules around it.
    pub(crate) inside: Vec<String>,
    /// `*` for a glob.
    pub(crate) segments: Vec<String>,
    /// The name that a `use` gives it; nothing for a path in code and for a glob.
    pub(crate) imported_as: Option<String>,
}

pub(crate) fn scan(source: &str) -> Scan {
    let tokens = tokens(source);
    let mut walk =
        Walk { tokens: &tokens, at: 0, depth: 0, inline: Vec::new(), out: Scan::default() };
    while walk.at < tokens.len() {
        walk.step();
    }
    walk.out
}

struct Walk<'t> {
    tokens: &'t [Token],
    at: usize,
    /// Braces that are open.
    depth: usize,
    /// The inline modules that are open, with the depth of their bodies.
    inline: Vec<(String, usize)>,
    out: Scan,
}

impl Walk<'_> {
    fn step(&mut self) {
        if let Some(end) = self.test_attribute() {
            self.at = end;
            self.skip_item();
        } else if self.is_word("use") && !self.is_mark_at(self.at + 1, '<') {
            self.at += 1;
            self.use_tree(&mut Vec::new());
        } else if self.is_word("extern") && self.word_at(self.at + 1) == Some("crate") {
            self.at += 2;
            self.use_tree(&mut Vec::new());
        } else if let Some(name) = self.module_name(self.at) {
            self.module(name);
        } else if self.starts_path() {
            self.path();
        } else {
            if self.is_mark_at(self.at, '{') {
                self.depth += 1;
            } else if self.is_mark_at(self.at, '}') {
                self.inline.pop_if(|(_, depth)| *depth == self.depth);
                self.depth = self.depth.saturating_sub(1);
            }
            self.at += 1;
        }
    }

    /// `mod name;` or the head of `mod name { … }`.
    fn module(&mut self, name: String) {
        let path = self.nested(&name);
        self.out.modules.push(path);
        self.at += 2;
        if self.is_mark_at(self.at, '{') {
            self.at += 1;
            self.depth += 1;
            self.inline.push((name, self.depth));
        }
    }

    /// One tree of a `use`, after `prefix`; stops behind it.
    fn use_tree(&mut self, prefix: &mut Vec<String>) {
        let length = prefix.len();
        let line = self.line();
        loop {
            match self.tokens.get(self.at).map(|token| &token.kind) {
                Some(Kind::PathSeparator) => self.at += 1,
                Some(Kind::Mark('{')) => {
                    self.at += 1;
                    while self.at < self.tokens.len() && !self.is_mark_at(self.at, '}') {
                        self.use_tree(prefix);
                        self.at += usize::from(self.is_mark_at(self.at, ','));
                    }
                    self.at += 1;
                    break;
                }
                Some(Kind::Mark('*')) => {
                    self.at += 1;
                    prefix.push("*".to_owned());
                    self.name(line, prefix.clone(), None);
                    break;
                }
                Some(Kind::Word(word)) => {
                    // `{self}` names the prefix itself.
                    if word != "self" || prefix.is_empty() {
                        prefix.push(word.clone());
                    }
                    self.at += 1;
                    if self.is_separator(self.at) {
                        continue;
                    }
                    let mut import = prefix.last().cloned();
                    if self.is_word("as") {
                        import = self.word_at(self.at + 1).map(str::to_owned);
                        self.at += 2;
                    }
                    self.name(line, prefix.clone(), import);
                    break;
                }
                // Not a tree that we know; go on behind it.
                _ => {
                    self.at += 1;
                    break;
                }
            }
        }
        prefix.truncate(length);
    }

    /// A path in code: `tokio::spawn`, `crate::lb::Pick`.
    fn path(&mut self) {
        let line = self.line();
        let mut segments = Vec::new();
        while let Some(word) = self.word_at(self.at) {
            segments.push(word.to_owned());
            self.at += 1;
            if !self.is_separator(self.at) {
                break;
            }
            self.at += 1;
        }
        self.name(line, segments, None);
    }

    fn name(&mut self, line: usize, segments: Vec<String>, imported_as: Option<String>) {
        let inside = self.inline.iter().map(|(name, _)| name.clone()).collect();
        self.out.paths.push(Named { line, inside, segments, imported_as });
    }

    /// Whether a path of two or more words starts here.
    fn starts_path(&self) -> bool {
        let continues = self.at.checked_sub(1).is_some_and(|before| {
            let follows = |at: usize| match self.tokens.get(at).map(|token| &token.kind) {
                Some(Kind::Word(_)) => true,
                Some(Kind::Mark(mark)) => *mark == '>',
                _ => false,
            };
            self.is_mark_at(before, '.')
                || self.is_separator(before) && before.checked_sub(1).is_some_and(follows)
        });
        !continues && self.word_at(self.at).is_some() && self.is_separator(self.at + 1)
    }

    /// Where the `#[cfg(test)]` that starts here ends. `any` and `not` do not count: such code may
    /// be part of a release.
    fn test_attribute(&self) -> Option<usize> {
        let opens = self.is_mark_at(self.at, '#')
            && self.is_mark_at(self.at + 1, '[')
            && self.word_at(self.at + 2) == Some("cfg");
        let end = opens.then(|| self.behind_brackets(self.at + 1))?;
        let has = |word| (self.at..end).any(|at| self.word_at(at) == Some(word));
        (has("test") && !has("any") && !has("not")).then_some(end)
    }

    /// Goes behind the item or field that starts here, further attributes included.
    fn skip_item(&mut self) {
        while self.is_mark_at(self.at, '#') {
            self.at = self.behind_brackets(self.at + 1);
        }
        let start = self.at;
        while let Some(token) = self.tokens.get(self.at) {
            match token.kind {
                Kind::Mark('(' | '[') => self.at = self.behind_brackets(self.at),
                Kind::Mark('{') => {
                    self.at = self.behind_brackets(self.at);
                    break;
                }
                Kind::Mark(';') => {
                    self.at += 1;
                    break;
                }
                // A field at the end of its struct.
                Kind::Mark('}') => break,
                Kind::Mark(',') if self.is_field(start) => break,
                Kind::Mark(_) | Kind::Word(_) | Kind::PathSeparator => self.at += 1,
            }
        }
        if let Some(name) = (start..self.at).find_map(|at| self.module_name(at)) {
            let path = self.nested(&name);
            self.out.test_modules.push(path);
        }
    }

    /// Whether what starts here is `name: Type`, maybe with a visibility.
    fn is_field(&self, start: usize) -> bool {
        let mut at = start;
        if self.word_at(at) == Some("pub") {
            at += 1;
            if self.is_mark_at(at, '(') {
                at = self.behind_brackets(at);
            }
        }
        self.word_at(at).is_some() && self.is_mark_at(at + 1, ':')
    }

    /// The position behind the bracket that closes the one at `open`.
    fn behind_brackets(&self, open: usize) -> usize {
        let mut depth = 0usize;
        for at in open..self.tokens.len() {
            match self.tokens[at].kind {
                Kind::Mark('(' | '[' | '{') => depth += 1,
                Kind::Mark(')' | ']' | '}') => depth = depth.saturating_sub(1),
                Kind::Mark(_) | Kind::Word(_) | Kind::PathSeparator => {}
            }
            if depth == 0 {
                return at + 1;
            }
        }
        self.tokens.len()
    }

    /// The name, if the head of a module starts at `at`.
    fn module_name(&self, at: usize) -> Option<String> {
        (self.word_at(at) == Some("mod")).then(|| self.word_at(at + 1).map(str::to_owned))?
    }

    fn nested(&self, name: &str) -> Vec<String> {
        let around = self.inline.iter().map(|(name, _)| name.clone());
        around.chain([name.to_owned()]).collect()
    }

    fn line(&self) -> usize {
        self.tokens.get(self.at).map_or(0, |token| token.line)
    }

    fn word_at(&self, at: usize) -> Option<&str> {
        match &self.tokens.get(at)?.kind {
            Kind::Word(word) => Some(word),
            Kind::Mark(_) | Kind::PathSeparator => None,
        }
    }

    fn is_word(&self, word: &str) -> bool {
        self.word_at(self.at) == Some(word)
    }

    fn is_mark_at(&self, at: usize, mark: char) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == Kind::Mark(mark))
    }

    fn is_separator(&self, at: usize) -> bool {
        self.tokens.get(at).is_some_and(|token| token.kind == Kind::PathSeparator)
    }
}
