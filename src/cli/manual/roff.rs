//! The text of a manual page, in the macros of man(7).

/// A page that is being written.
#[derive(Debug)]
pub(super) struct Roff(String);

impl Roff {
    pub(super) fn new(title: &str, section: u8, about: &str) -> Roff {
        let version = env!("CARGO_PKG_VERSION");
        Roff(format!(
            ".TH {} {section} \"\" \"rlondiste {version}\" \"{}\"\n.nh\n",
            title.to_uppercase(),
            escape(about)
        ))
    }

    pub(super) fn section(&mut self, title: &str) {
        self.0 += &format!(".SH {title}\n");
    }

    pub(super) fn subsection(&mut self, title: &str) {
        self.0 += &format!(".SS {}\n", escape(title));
    }

    pub(super) fn paragraph(&mut self, text: &str) {
        self.0 += &format!(".PP\n{}\n", line(text));
    }

    /// Text behind a heading, which begins a paragraph itself.
    pub(super) fn text(&mut self, text: &str) {
        self.0 += &format!("{}\n", line(text));
    }

    /// A term with its explanation in paragraphs.
    pub(super) fn term<'a>(&mut self, term: &str, paragraphs: impl IntoIterator<Item = &'a str>) {
        self.0 += &format!(".TP\n\\fB{}\\fR\n", escape(term));
        for (nr, text) in paragraphs.into_iter().enumerate() {
            if nr > 0 {
                self.0 += ".IP\n";
            }
            self.0 += &format!("{}\n", line(text));
        }
    }

    /// Lines as they are.
    pub(super) fn verbatim<'a>(&mut self, lines: impl IntoIterator<Item = &'a str>) {
        self.0 += ".PP\n.RS 4\n.nf\n";
        for text in lines {
            self.0 += &format!("{}\n", line(text));
        }
        self.0 += ".fi\n.RE\n";
    }

    pub(super) fn finish(self) -> String {
        self.0
    }
}

/// A line of text, which must not be taken for a macro.
fn line(text: &str) -> String {
    let text = escape(text);
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

/// Characters that mean something else to roff; a minus must stay one when a command line is copied.
pub(super) fn escape(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('"', "\\(dq")
        .replace('\'', "\\(aq")
        .replace('`', "\\(ga")
        .replace('~', "\\(ti")
        .replace('^', "\\(ha")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_macro() {
        assert_eq!(line(".TH is text"), "\\&.TH is text");
        assert_eq!(line("it's a \\ \"-d\""), "it\\(aqs a \\e \\(dq\\-d\\(dq");
    }
}
