//! Diagnostics of a spec: what is wrong, where, and how to correct it.
//!
//! Knows files and byte ranges, but not the language.

use annotate_snippets::{AnnotationKind, Element, Level, Renderer, Snippet};
use std::cell::RefCell;
use std::fmt;

/// A byte range in one file of [`Sources`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Span {
    pub file: usize,
    pub start: usize,
    pub end: usize,
}

impl Span {
    pub fn to(self, other: Span) -> Span {
        Span {
            file: self.file,
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Source {
    /// As shown to people: relative to the root, with `/`.
    pub path: String,
    pub text: String,
}

/// Every file read in a run.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub files: Vec<Source>,
}

impl Sources {
    pub fn add(&mut self, path: impl Into<String>, text: impl Into<String>) -> usize {
        self.files.push(Source {
            path: path.into(),
            text: text.into(),
        });
        self.files.len() - 1
    }
}

/// One mistake. The message says what is wrong, the help how to correct it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// `None`: about a file or folder that could not be read.
    pub span: Option<Span>,
    pub message: String,
    pub help: Option<String>,
    /// Another place that is involved, such as "first defined here".
    pub also: Option<Box<(Span, String)>>,
}

impl Diagnostic {
    pub fn at(span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            span: Some(span),
            message: message.into(),
            help: None,
            also: None,
        }
    }
    pub fn without_place(message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            span: None,
            message: message.into(),
            help: None,
            also: None,
        }
    }
    pub fn help(mut self, help: impl Into<String>) -> Diagnostic {
        self.help = Some(help.into());
        self
    }
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Diagnostic {
        self.also = Some(Box::new((span, label.into())));
        self
    }
}

/// All diagnostics of a run, with the sources that they quote.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    pub sources: Sources,
    pub list: Vec<Diagnostic>,
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, diagnostic) in self.list.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            writeln!(f, "{}", render(&self.sources, diagnostic))?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}

/// Collects diagnostics. Panics if it is dropped before `finish` was called.
#[derive(Debug)]
pub struct Collector {
    list: RefCell<Option<Vec<Diagnostic>>>,
}

impl Default for Collector {
    fn default() -> Self {
        Collector {
            list: RefCell::new(Some(Vec::new())),
        }
    }
}

impl Collector {
    pub fn push(&self, diagnostic: Diagnostic) {
        if let Some(list) = self.list.borrow_mut().as_mut()
            && !list.contains(&diagnostic)
        {
            list.push(diagnostic);
        }
    }

    /// Returns the value of a success, and collects the diagnostic of a failure.
    pub fn keep<T>(&self, result: Result<T, Diagnostic>) -> Option<T> {
        result.map_err(|diagnostic| self.push(diagnostic)).ok()
    }

    /// Completes diagnostics with what was not known where they were found.
    pub fn mend(&self, mend: impl Fn(&mut Diagnostic)) {
        let mut list = self.list.borrow_mut();
        list.iter_mut().flatten().for_each(mend);
    }

    /// The number of diagnostics so far, to tell whether a step added any.
    pub fn count(&self) -> usize {
        self.list.borrow().as_ref().map_or(0, Vec::len)
    }

    /// The result: everything collected so far, sorted by file and position.
    pub fn finish(self, sources: &Sources) -> Result<(), Diagnostics> {
        let mut list = self.list.take().unwrap_or_default();
        if list.is_empty() {
            return Ok(());
        }
        list.sort_by_key(|d| d.span.map(|s| (s.file, s.start)));
        Err(Diagnostics {
            sources: sources.clone(),
            list,
        })
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        if !std::thread::panicking() && self.list.borrow().is_some() {
            panic!("a collector of diagnostics was dropped without asking for its verdict");
        }
    }
}

fn render(sources: &Sources, diagnostic: &Diagnostic) -> String {
    let mut group = Level::ERROR
        .primary_title(diagnostic.message.as_str())
        .elements(Vec::<Element>::new());
    if let Some(span) = diagnostic.span
        && let Some(source) = sources.files.get(span.file)
    {
        let mark = AnnotationKind::Primary.span(clamp(&source.text, span));
        let mut snippet = Snippet::source(source.text.as_str())
            .path(source.path.as_str())
            .annotation(mark);
        if let Some((also, label)) = diagnostic.also.as_deref()
            && also.file == span.file
        {
            snippet = snippet.annotation(
                AnnotationKind::Context
                    .span(clamp(&source.text, *also))
                    .label(label.as_str()),
            );
        }
        group = group.element(snippet);
        if let Some((also, label)) = diagnostic.also.as_deref()
            && also.file != span.file
            && let Some(other) = sources.files.get(also.file)
        {
            group = group.element(
                Snippet::source(other.text.as_str())
                    .path(other.path.as_str())
                    .annotation(
                        AnnotationKind::Context
                            .span(clamp(&other.text, *also))
                            .label(label.as_str()),
                    ),
            );
        }
    }
    if let Some(help) = &diagnostic.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    Renderer::plain().render(&[group])
}

/// A range that is inside the text, on character borders, without the line breaks at its end.
fn clamp(text: &str, span: Span) -> std::ops::Range<usize> {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let end = start + text[start..end].trim_end().len();
    start..end.max(start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(file: usize, start: usize) -> Diagnostic {
        Diagnostic::at(
            Span {
                file,
                start,
                end: start + 1,
            },
            format!("{file}:{start}"),
        )
    }

    #[test]
    #[should_panic = "dropped without asking for its verdict"]
    fn a_collector_that_is_not_asked_panics() {
        Collector::default().push(at(0, 0));
    }

    #[test]
    #[should_panic = "dropped without asking for its verdict"]
    fn an_empty_collector_must_be_asked_too() {
        drop(Collector::default());
    }

    #[test]
    fn the_verdict_is_in_the_order_of_places_and_tells_each_mistake_once() {
        let errors = Collector::default();
        for diagnostic in [at(1, 0), at(0, 7), at(0, 3), at(0, 7)] {
            errors.push(diagnostic);
        }
        assert_eq!(errors.count(), 3);
        let told = errors.finish(&Sources::default()).unwrap_err();
        let messages: Vec<_> = told.list.iter().map(|d| d.message.as_str()).collect();
        assert_eq!(messages, ["0:3", "0:7", "1:0"]);
    }

    #[test]
    fn a_clean_collector_is_fine() {
        let errors = Collector::default();
        assert_eq!(errors.keep(Ok(1)), Some(1));
        assert!(errors.finish(&Sources::default()).is_ok());
    }

    #[test]
    fn places_outside_of_the_text_or_inside_of_a_letter_are_shown_all_the_same() {
        let mut sources = Sources::default();
        sources.add("a.yaml", "é: ü");
        for (start, end) in [(1, 2), (0, 99), (99, 3), (5, 6)] {
            let list = vec![Diagnostic::at(
                Span {
                    file: 0,
                    start,
                    end,
                },
                "odd",
            )];
            let said = Diagnostics {
                sources: sources.clone(),
                list,
            }
            .to_string();
            assert!(said.contains("a.yaml:1:"), "{said}");
        }
    }
}
