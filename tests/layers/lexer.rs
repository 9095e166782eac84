//! Words and marks of Rust source, without comments, strings, characters and lifetimes.

/// A word or mark and the line it is on, from 1.
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) line: usize,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Kind {
    /// An identifier, keyword or number; `r#type` is `type`.
    Word(String),
    /// `::`
    PathSeparator,
    /// Any other character.
    Mark(char),
}

pub(crate) fn tokens(source: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: source, line: 1, tokens: Vec::new() };
    while let Some(first) = lexer.rest.chars().next() {
        lexer.step(first);
    }
    lexer.tokens
}

struct Lexer<'s> {
    rest: &'s str,
    line: usize,
    tokens: Vec<Token>,
}

impl Lexer<'_> {
    fn step(&mut self, first: char) {
        if self.rest.starts_with("//") {
            self.skip(self.rest.find('\n').unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("/*") {
            self.block_comment();
        } else if self.rest.starts_with("::") {
            self.push(Kind::PathSeparator, 2);
        } else if first == '"' {
            self.string();
        } else if first == '\'' {
            self.character_or_lifetime();
        } else if is_word(first) {
            self.word();
        } else if first.is_whitespace() {
            self.skip(first.len_utf8());
        } else {
            self.push(Kind::Mark(first), first.len_utf8());
        }
    }

    fn block_comment(&mut self) {
        let mut depth = 0usize;
        while !self.rest.is_empty() {
            if self.rest.starts_with("/*") {
                depth += 1;
                self.skip(2);
            } else if self.rest.starts_with("*/") {
                depth -= 1;
                self.skip(2);
                if depth == 0 {
                    return;
                }
            } else {
                self.skip_chars(1);
            }
        }
    }

    /// A string whose quote comes next.
    fn string(&mut self) {
        self.skip(1);
        while let Some(next) = self.rest.chars().next() {
            self.skip_chars(if next == '\\' { 2 } else { 1 });
            if next == '"' {
                return;
            }
        }
    }

    /// A raw string whose hashes or quote come next.
    fn raw_string(&mut self) {
        let hashes = self.rest.chars().take_while(|c| *c == '#').count();
        let end = format!("\"{}", "#".repeat(hashes));
        self.skip(hashes + 1);
        let length = self.rest.find(&end).map_or(self.rest.len(), |at| at + end.len());
        self.skip(length);
    }

    fn character_or_lifetime(&mut self) {
        let mut chars = self.rest.chars().skip(1);
        match (chars.next(), chars.next()) {
            (Some('\\'), Some(_)) => {
                self.skip_chars(3);
                let length = self.rest.find('\'').map_or(self.rest.len(), |at| at + 1);
                self.skip(length);
            }
            (Some(_), Some('\'')) => self.skip_chars(3),
            _ => {
                self.skip(1);
                let length = self.word_length();
                self.skip(length);
            }
        }
    }

    fn word(&mut self) {
        let length = self.word_length();
        let (word, after) = self.rest.split_at(length);
        let hashes = after.trim_start_matches('#');
        match word {
            "b" | "c" if after.starts_with('"') => self.skip(length),
            "r" | "br" | "cr" if hashes.starts_with('"') => {
                self.skip(length);
                self.raw_string();
            }
            "r" if after.starts_with('#') => self.skip(length + 1),
            _ => {
                let word = word.to_owned();
                self.push(Kind::Word(word), length);
            }
        }
    }

    fn word_length(&self) -> usize {
        self.rest.find(|c| !is_word(c)).unwrap_or(self.rest.len())
    }

    fn push(&mut self, kind: Kind, bytes: usize) {
        self.tokens.push(Token { kind, line: self.line });
        self.skip(bytes);
    }

    fn skip_chars(&mut self, chars: usize) {
        self.skip(self.rest.chars().take(chars).map(char::len_utf8).sum());
    }

    fn skip(&mut self, bytes: usize) {
        let (skipped, rest) = self.rest.split_at(bytes);
        self.line += skipped.matches('\n').count();
        self.rest = rest;
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}
