import Foundation
import InpaintingJobs

/// What came of a batch, as a table for a person.
struct BatchTable {
    let entries: [Batch.Entry]

    var text: String {
        let results = entries.map(\.result)
        let rows = results.map(Self.row)
        let header = ["line", "output", "status", "seed", "seconds", "loss", "background", "semantic"]
        return rows.isEmpty
            ? "no jobs" : TextTable(header: header, rows: rows, words: ["output", "status"]).text + "\n" + counts
    }

    /// The last line: where the results are, how long it took, and how to go on; nil when there were no jobs.
    ///
    /// - Parameter folder: of the batch.
    func lastLine(folder: String, seconds: Double) -> String? {
        guard !entries.isEmpty else { return nil }
        let line = "\(folder): \(counts) in \(String(format: "%.1f", seconds)) s"
        let isWhole = entries.allSatisfy { [.done, .present].contains($0.result.status) }
        return isWhole ? line : "\(line); the same command makes what is missing, and leaves what is there"
    }

    /// `3 done, 1 failed`
    private var counts: String {
        [BatchResult.Status.done, .present, .failed, .refused].compactMap { status in
            let count = entries.count { $0.result.status == status }
            return count > 0 ? "\(count) \(status.rawValue)" : nil
        }.joined(separator: ", ")
    }

    private static func row(_ result: BatchResult) -> [String] {
        let seed = result.seed.map { "\($0)" } ?? ""
        let seconds = result.seconds.map { String(format: "%.1f", $0) } ?? ""
        let losses = result.loss.map { [$0.total, $0.background, $0.semantic].map(ProgressReport.short) }
        return ["\(result.line)", result.output ?? "", result.status.rawValue, seed, seconds]
            + (losses ?? ["", "", ""])
    }
}
