//! Writes PDFs, object by object.

use std::fmt::Write as _;

/// A PDF as a list of its objects.
#[derive(Default)]
pub struct PdfWriter {
    objects: Vec<String>,
    trailer: String,
}

impl PdfWriter {
    /// Creates a PDF with these page contents, with the fonts Helvetica (`/F`) and its bold (`/B`).
    pub fn with_pages(contents: &[String]) -> Self {
        let mut pdf = Self::default();
        let kids: Vec<String> =
            (0..contents.len()).map(|page| format!("{} 0 R", 5 + 2 * page)).collect();
        pdf.add("<< /Type /Catalog /Pages 2 0 R >>");
        pdf.add(&format!(
            "<< /Type /Pages /Kids [{}] /Count {} /MediaBox [0 0 595 842] >>",
            kids.join(" "),
            contents.len()
        ));
        pdf.add(
            "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        );
        pdf.add("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica-Bold /Encoding /WinAnsiEncoding >>");
        for (at, content) in contents.iter().enumerate() {
            let stream = 6 + 2 * at;
            pdf.add(&format!("<< /Type /Page /Parent 2 0 R /Contents {stream} 0 R /Resources << /Font << /F 3 0 R /B 4 0 R >> /XObject << /X 1000 0 R >> >> >>"));
            pdf.add(&format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
        }
        pdf
    }

    /// Adds an object, and returns its number.
    pub fn add(&mut self, object: &str) -> usize {
        self.objects.push(object.to_owned());
        self.objects.len()
    }

    /// Replaces an object.
    pub fn replace(&mut self, number: usize, object: &str) -> &mut Self {
        if self.objects.len() < number {
            self.objects.resize(number, "null".to_owned());
        }
        self.objects[number - 1] = object.to_owned();
        self
    }

    pub fn trailer(&mut self, entries: &str) -> &mut Self {
        entries.clone_into(&mut self.trailer);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = b"%PDF-1.7\n".to_vec();
        let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", self.objects.len() + 1);
        for (at, object) in self.objects.iter().enumerate() {
            writeln!(table, "{:010} 00000 n ", bytes.len()).unwrap();
            bytes.extend_from_slice(format!("{} 0 obj\n{object}\nendobj\n", at + 1).as_bytes());
        }
        let start = bytes.len();
        let size = self.objects.len() + 1;
        bytes.extend_from_slice(
            format!(
                "{table}trailer\n<< /Root 1 0 R /Size {size} {} >>\nstartxref\n{start}\n%%EOF\n",
                self.trailer
            )
            .as_bytes(),
        );
        bytes
    }
}

/// Returns a line of text at a position, in points from the lower left.
pub fn line(font: &str, size: u32, x: u32, y: u32, text: &str) -> String {
    format!("BT /{font} {size} Tf {x} {y} Td ({text}) Tj ET\n")
}

/// Returns lines of text from this height down.
pub fn lines(x: u32, top: u32, texts: &[&str]) -> String {
    (0..).zip(texts).map(|(at, text)| line("F", 10, x, top - 12 * at, text)).collect()
}

/// A picture of 200 × 200 black pixels.
pub const PICTURE: &str = "<< /Type /XObject /Subtype /Image /Width 200 /Height 200 /ColorSpace /DeviceGray /BitsPerComponent 1 /Length 0 >>\nstream\n\nendstream";
