//! `ExportReport`: rows from the store as the bytes of a file, in pieces.

use std::{collections::VecDeque, pin::Pin};

use aws_lc_rs::digest;
use futures::{Stream, stream};
use proto::insights::v1 as pb;
use rpc::{FieldError, Fields};
use tonic::Status;

use crate::{
    Error,
    export::{Format, Writer},
    report::Report,
    store::Store,
    wire::{self, Asked},
};

/// Rows read at once.
const ROWS: usize = 1_000;

/// Bytes of a piece, about; far below the 1 MiB that the proto promises even with one large row more.
const PIECE: usize = 256 * 1024;

/// The pieces.
pub(super) type ExportStream = Pin<Box<dyn Stream<Item = Result<pb::ExportReportResponse, Status>> + Send>>;

/// The report, the format, and the bytes to leave out.
pub(super) fn decode(request: &pb::ExportReportRequest) -> Result<(Asked, Format, usize), FieldError> {
    let mut fields = Fields::new();
    let asked = fields.take(wire::name(&request.name));
    let format = match pb::ExportFormat::try_from(request.format) {
        Ok(pb::ExportFormat::Jsonl) => Some(Format::JsonLines),
        Ok(pb::ExportFormat::Csv) => Some(Format::Csv),
        Ok(pb::ExportFormat::Unspecified) | Err(_) => {
            fields.check(false, "format", "must be JSONL or CSV", "EXPORT_FORMAT");
            None
        }
    };
    let offset = usize::try_from(request.offset).ok();
    fields.check(offset.is_some(), "offset", "must not be negative", "OFFSET");
    fields.finish()?;
    match (asked, format, offset) {
        (Some(asked), Some(format), Some(offset)) => Ok((asked, format, offset)),
        // `finish` has told it.
        _ => Err(FieldError::required("name")),
    }
}

struct State {
    store: Store,
    report: Report,
    writer: Writer,
    digest: digest::Context,
    /// Rows that were read and not yet written.
    rows: VecDeque<(i64, pb::Row)>,
    /// The place of the last row that was read.
    after: i64,
    /// No row is left in the store.
    read: bool,
    /// Bytes written so far, those left out included.
    written: usize,
    /// Bytes to leave out.
    offset: usize,
    begun: bool,
}

/// Reads and writes as fast as the caller takes the pieces, and holds one page of rows.
pub(super) fn stream(store: Store, report: Report, format: Format, offset: usize) -> ExportStream {
    let state = State {
        store,
        writer: Writer::new(format, &report.query),
        report,
        digest: digest::Context::new(&digest::SHA256),
        rows: VecDeque::new(),
        after: i64::MIN,
        read: false,
        written: 0,
        offset,
        begun: false,
    };
    Box::pin(stream::try_unfold(Some(state), |state| async move {
        let Some(mut state) = state else { return Ok(None) };
        let (data, ended) = state.piece().await.map_err(Status::from)?;
        let response = pb::ExportReportResponse {
            data,
            next_offset: i64::try_from(state.written).unwrap_or(i64::MAX),
            sha256: if ended { hex::encode(state.digest.clone().finish().as_ref()) } else { String::new() },
        };
        Ok(Some((response, (!ended).then_some(state))))
    }))
}

impl State {
    /// The next bytes behind the offset, and whether they are the last.
    async fn piece(&mut self) -> Result<(Vec<u8>, bool), Error> {
        let mut piece = Vec::new();
        if !self.begun {
            self.begun = true;
            let head = self.writer.head()?;
            self.write(&head, &mut piece);
        }
        while piece.len() < PIECE {
            if self.rows.is_empty() && !self.read {
                self.rows = self.store.rows(&self.report.tenant, self.report.id, self.after, ROWS).await?.into();
                self.read = self.rows.len() < ROWS;
            }
            let Some((place, row)) = self.rows.pop_front() else { return Ok((piece, true)) };
            self.after = place;
            let line = self.writer.row(&row)?;
            self.write(&line, &mut piece);
        }
        Ok((piece, false))
    }

    /// The digest is of the whole file, also of what is left out.
    fn write(&mut self, bytes: &[u8], piece: &mut Vec<u8>) {
        self.digest.update(bytes);
        let skip = self.offset.saturating_sub(self.written).min(bytes.len());
        piece.extend(bytes.iter().skip(skip));
        self.written += bytes.len();
    }
}
