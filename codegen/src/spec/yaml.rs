//! Parses YAML text into a tree of mappings, lists and scalars, each with its position.
//!
//! Accepts the small part of YAML that a spec needs and refuses the rest: anchors, aliases, merge keys, tags,
//! directives, second documents and duplicate keys. Knows nothing of what the keys mean.

use super::layout;
use crate::diag::{Collector, Diagnostic, Span};
use serde_saphyr::granit_parser::{self, Event, Parser, ScalarStyle, Tag};
use std::borrow::Cow;

const FILE_BYTES_MAX: usize = 256 * 1024;
/// The deepest nesting that is accepted; the language needs four levels.
const NESTING_MAX: usize = 8;

/// A scalar, with what is needed to locate a word inside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Text {
    pub value: String,
    pub span: Span,
    /// The text to parse as a phrase: taken from the file unless it is escaped there.
    pub phrase: String,
    /// Where `phrase` starts in the file; `None` if words can't be located in it (escapes, blocks).
    pub phrase_start: Option<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Node {
    Scalar(Text),
    List(Vec<Node>, Span),
    Map(Vec<(Text, Node)>, Span),
}

impl Node {
    pub fn span(&self) -> Span {
        match self {
            Node::Scalar(text) => text.span,
            Node::List(_, span) | Node::Map(_, span) => *span,
        }
    }
    pub fn kind(&self) -> &'static str {
        match self {
            Node::Scalar(text) if text.value.is_empty() => "nothing",
            Node::Scalar(_) => "a phrase",
            Node::List(..) => "a list",
            Node::Map(..) => "a mapping",
        }
    }
}

/// `None` if the file can't be parsed at all; smaller mistakes are added to `errors` and the tree is returned.
pub fn parse(file: usize, text: &str, errors: &Collector) -> Option<Node> {
    if text.len() > FILE_BYTES_MAX {
        errors.push(
            Diagnostic::at(
                Span {
                    file,
                    start: 0,
                    end: 0,
                },
                format!("this file has {} bytes", text.len()),
            )
            .help(format!(
                "a spec file has at most {FILE_BYTES_MAX} bytes; one entity per file"
            )),
        );
        return None;
    }
    if let Some(wrong) = tab_indent(file, text) {
        errors.push(wrong);
        return None;
    }
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        flow_nesting_limit: NESTING_MAX,
        block_nesting_limit: NESTING_MAX,
    };
    let parser = Parser::new_from_str_with_options(text, options);
    let mut reader = Reader {
        file,
        text,
        parser,
        errors,
    };
    reader.document().map_err(|Stop| ()).ok().flatten()
}

/// Reported before parsing, because the parser's messages about tabs depend on the lines around them.
fn tab_indent(file: usize, text: &str) -> Option<Diagnostic> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let indent = line.len() - line.trim_start().len();
        let tab = line[..indent]
            .find('\t')
            .filter(|_| !line.trim().is_empty());
        if let Some(tab) = tab {
            let at = Span {
                file,
                start: start + tab,
                end: start + tab + 1,
            };
            let said = Diagnostic::at(at, "a tab in front of a line");
            return Some(said.help("indent with spaces, two for each level"));
        }
        start += line.len();
    }
    None
}

/// The first line at the margin that is not a `key:`. The parser would report it one line later, or take it for a
/// continuation of the line above.
fn stray_line(file: usize, text: &str) -> Option<Span> {
    let mut start = 0;
    for line in text.split_inclusive('\n') {
        let word = line.trim_end();
        let at_margin =
            !word.is_empty() && !word.starts_with([' ', '#', '-', '.', '{', '}', '[', ']', '%']);
        let is_key = word
            .split_once(':')
            .is_some_and(|(_, rest)| rest.is_empty() || rest.starts_with(' '));
        if at_margin && !is_key {
            return Some(Span {
                file,
                start,
                end: start + word.len(),
            });
        }
        start += line.len();
    }
    None
}

/// rustc refuses the marks of direction even in comments, as what is shown would not be what is compiled.
fn is_unwritable(sign: char) -> bool {
    (sign.is_control() && !['\n', '\t'].contains(&sign))
        || matches!(sign, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// The rest of the file can't be parsed; the reason has been reported.
struct Stop;

struct Reader<'a, P> {
    file: usize,
    text: &'a str,
    parser: P,
    errors: &'a Collector,
}

impl<'a, P> Reader<'a, P>
where
    P: Iterator<Item = Result<(Event<'a>, granit_parser::Span), granit_parser::ScanError>>,
{
    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut root = None;
        let mut documents = 0;
        loop {
            let (event, span) = match self.next()? {
                None => break,
                Some(next) => next,
            };
            match event {
                Event::DocumentStart(..) if documents == 1 => {
                    self.errors.push(
                        Diagnostic::at(span, "a second document in one file")
                            .help("remove `---`; one file holds one entity"),
                    );
                    return Err(Stop);
                }
                Event::DocumentStart(..) => documents += 1,
                Event::StreamStart | Event::DocumentEnd => {}
                Event::StreamEnd => break,
                event => root = Some(self.node(event, span)?),
            }
        }
        if root.is_none() {
            self.errors.push(
                Diagnostic::at(
                    Span {
                        file: self.file,
                        start: 0,
                        end: 0,
                    },
                    "this file is empty",
                )
                .help("start with `entity: <name>`; `cargo gen new <entity>` writes a starter"),
            );
        }
        Ok(root)
    }

    fn next(&mut self) -> Result<Option<(Event<'a>, Span)>, Stop> {
        match self.parser.next() {
            None => Ok(None),
            Some(Ok((event, span))) => {
                let range = span.byte_range().unwrap_or(0..0);
                let end = range.end.min(self.text.len());
                Ok(Some((
                    event,
                    Span {
                        file: self.file,
                        start: range.start.min(end),
                        end,
                    },
                )))
            }
            Some(Err(_)) if stray_line(self.file, self.text).is_some() => {
                let line = stray_line(self.file, self.text).ok_or(Stop)?;
                self.errors
                    .push(Diagnostic::at(line, "this line is no `key: value`").help(
                        "if it goes on with the line above, indent it deeper than that line's key",
                    ));
                Err(Stop)
            }
            Some(Err(error)) => {
                let start = error
                    .marker()
                    .byte_offset()
                    .unwrap_or(0)
                    .min(self.text.len());
                let at = Span {
                    file: self.file,
                    start,
                    end: (start + 1).min(self.text.len()),
                };
                let told = layout::explain(self.file, self.text, start).unwrap_or_else(|| {
                    Diagnostic::at(at, format!("this is not YAML: {}", error.info()))
                        .help(layout::mend(self.text, start, &error.info()))
                });
                self.errors.push(told);
                Err(Stop)
            }
        }
    }

    fn node(&mut self, event: Event<'a>, span: Span) -> Result<Node, Stop> {
        match event {
            Event::Scalar(value, style, anchor, tag) => {
                self.refuse_properties(anchor, tag, span);
                self.refuse_signs(&value, span);
                Ok(Node::Scalar(self.scalar(value, style, span)))
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.refuse_properties(anchor, tag, span);
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        Some((Event::SequenceEnd, end)) => {
                            return Ok(Node::List(items, span.to(end)));
                        }
                        Some((event, span)) => items.push(self.node(event, span)?),
                        None => return Err(Stop),
                    }
                }
            }
            Event::MappingStart(_, anchor, tag) => {
                self.refuse_properties(anchor, tag, span);
                self.mapping(span)
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.errors.push(Diagnostic::at(span, "an alias").help(
                    "write the value out; what entities share goes into `mixins:` of app.yaml",
                ));
                Ok(Node::Scalar(self.scalar(
                    Cow::Borrowed(""),
                    ScalarStyle::Plain,
                    span,
                )))
            }
            _ => Err(Stop),
        }
    }

    fn mapping(&mut self, span: Span) -> Result<Node, Stop> {
        let mut entries: Vec<(Text, Node)> = Vec::new();
        loop {
            let (event, at) = self.next()?.ok_or(Stop)?;
            if let Event::MappingEnd = event {
                return Ok(Node::Map(entries, span.to(at)));
            }
            let key = self.node(event, at)?;
            let (event, at) = self.next()?.ok_or(Stop)?;
            let value = self.node(event, at)?;
            let Node::Scalar(key) = key else {
                let help = match key {
                    Node::Map(..) => "a value that begins with `{` must stand in quotes",
                    _ => "write `key: value`",
                };
                self.errors
                    .push(Diagnostic::at(key.span(), "a key must be a word").help(help));
                continue;
            };
            if key.value == "<<" {
                self.errors
                    .push(Diagnostic::at(key.span, "a merge key").help(
                        "write the lines out; what entities share goes into `mixins:` of app.yaml",
                    ));
                continue;
            }
            if let Some((first, _)) = entries.iter().find(|(k, _)| k.value == key.value) {
                self.errors.push(
                    Diagnostic::at(key.span, format!("`{}` is here twice", key.value))
                        .also(first.span, "first written here")
                        .help("keep one of the two"),
                );
                continue;
            }
            entries.push((key, value));
        }
    }

    fn refuse_properties(&mut self, anchor: usize, tag: Option<Cow<'a, Tag>>, span: Span) {
        if anchor != 0 {
            self.errors.push(
                Diagnostic::at(self.word_before(span, '&'), "an anchor")
                    .help("remove the `&…`; what entities share goes into `mixins:` of app.yaml"),
            );
        }
        if let Some(tag) = tag {
            self.errors.push(
                Diagnostic::at(
                    self.word_before(span, '!'),
                    format!("a tag, `{}`", tag.original()),
                )
                .help("remove the `!…`; a type is the first word of its phrase, and a rule says `not …`"),
            );
        }
    }

    /// Refuses what neither SQL nor Rust can hold in a text or a comment: control characters, and those that change
    /// the direction of writing.
    fn refuse_signs(&self, value: &str, span: Span) {
        let Some(sign) = value.chars().find(|sign| is_unwritable(*sign)) else {
            return;
        };
        let here = self.text.get(span.start..span.end).unwrap_or_default();
        // Written as an escape, it is somewhere in the scalar.
        let at = here.find(sign).map_or(span, |at| Span {
            start: span.start + at,
            end: span.start + at + sign.len_utf8(),
            ..span
        });
        self.errors.push(
            Diagnostic::at(
                at,
                format!("the invisible character U+{:04X}", u32::from(sign)),
            )
            .help("remove it; perhaps it was pasted along with the text"),
        );
    }

    /// The `&anchor` or `!tag` in front of a node.
    fn word_before(&self, node: Span, sign: char) -> Span {
        let before = self.text.get(..node.start).unwrap_or("").trim_end();
        match before.rfind(sign) {
            Some(start) => {
                let len = before[start..]
                    .find(char::is_whitespace)
                    .unwrap_or(before.len() - start);
                Span {
                    file: self.file,
                    start,
                    end: start + len,
                }
            }
            None => node,
        }
    }

    fn scalar(&self, value: Cow<'a, str>, style: ScalarStyle, span: Span) -> Text {
        let source = self.text.get(span.start..span.end).unwrap_or("");
        let empty = |span: Span| Text {
            value: String::new(),
            span,
            phrase: String::new(),
            phrase_start: Some(span.start),
        };
        match style {
            ScalarStyle::Plain => {
                let source = source.trim_end();
                if source.is_empty() || source == "~" {
                    return empty(span);
                }
                let span = Span {
                    end: span.start + source.len(),
                    ..span
                };
                Text {
                    value: value.into_owned(),
                    span,
                    phrase: source.into(),
                    phrase_start: Some(span.start),
                }
            }
            ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => {
                let inner = source
                    .trim_end()
                    .get(1..source.trim_end().len().saturating_sub(1))
                    .unwrap_or("");
                let phrase_start = (inner == value).then_some(span.start + 1);
                Text {
                    phrase: value.to_string(),
                    value: value.into_owned(),
                    span,
                    phrase_start,
                }
            }
            _ => {
                let value = value.trim_end().to_owned();
                Text {
                    phrase: value.clone(),
                    value,
                    span,
                    phrase_start: None,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Node {
        let errors = Collector::default();
        let node = parse(0, text, &errors);
        let sources = crate::diag::Sources {
            files: vec![crate::diag::Source {
                path: "x".into(),
                text: text.into(),
            }],
        };
        errors.finish(&sources).unwrap();
        node.unwrap()
    }

    /// A phrase taken from the file must equal the text at its position.
    fn check(text: &str, value: &str) {
        let Node::Map(entries, _) = parsed(text) else {
            panic!("no mapping")
        };
        let Node::Scalar(found) = &entries[0].1 else {
            panic!("no scalar")
        };
        assert_eq!(found.value, value);
        if let Some(start) = found.phrase_start {
            assert_eq!(&text[start..start + found.phrase.len()], found.phrase);
        }
    }

    #[test]
    fn scalars_of_every_style_keep_their_place() {
        check("a: text(1..140), search\n", "text(1..140), search");
        check("a: text  # comment\n", "text");
        check("a: 'anyone'\n", "anyone");
        check("a: \"anyone\"\n", "anyone");
        check("a: 'it''s'\n", "it's");
        check("a: anyone or\n   nobody\nb: c\n", "anyone or nobody");
        check("é: ü or\n   ö\n", "ü or ö");
        check(
            "a: >\n  anyone\n  or nobody\n",
            "anyone\nor nobody".replace('\n', " ").as_str(),
        );
        check("a:\nb: c\n", "");
        check("a: {}\n".replace("{}", "~").as_str(), "");
        check("{a: b c}", "b c");
    }
}
