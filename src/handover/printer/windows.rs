//! A printer of Windows, by its spooler's own calls (OpenPrinter, StartDocPrinter, WritePrinter): the bytes go into the spooler's
//! memory and files, none of ours. The queue must take PDF as it comes (data type RAW), as PDF-capable printers do.

use super::PrinterError;

#[cfg(windows)]
pub(super) fn print(printer: &str, name: &str, document: &[u8]) -> Result<(), PrinterError> {
    use printers::common::base::job::PrinterJobOptions;

    let found = printers::get_printer_by_name(printer).ok_or_else(|| PrinterError::Unreachable {
        printer: format!("windows:{printer}"),
        why: "Windows has no printer of this name".into(),
        begun: false,
    })?;
    let options = PrinterJobOptions { name: Some(name), ..PrinterJobOptions::none() };
    found
        .print(document, options)
        .map(drop)
        .map_err(|error| PrinterError::Refused { printer: format!("windows:{printer}"), why: error.message })
}

#[cfg(not(windows))]
pub(super) fn print(printer: &str, _name: &str, _document: &[u8]) -> Result<(), PrinterError> {
    Err(PrinterError::NotHere(printer.to_owned()))
}
