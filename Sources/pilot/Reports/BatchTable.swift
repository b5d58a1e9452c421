import Foundation
import InpaintingJobs

/// What came of a batch, as a table for a person.
struct BatchTable {
    let entries: [Batch.Entry]

    var text: String {
        let results = entries.map(\.result)
        let rows = results.map(Self.row)
        let counts = [BatchResult.Status.done, .present, .failed, .refused].compactMap { status in
            let count = results.count { $0.status == status }
            return count > 0 ? "\(count) \(status.rawValue)" : nil
        }
        let header = ["line", "output", "status", "seed", "seconds", "loss", "background", "semantic"]
        let summary = counts.isEmpty ? "no jobs" : counts.joined(separator: ", ")
        return rows.isEmpty
            ? summary : TextTable(header: header, rows: rows, words: ["output", "status"]).text + "\n" + summary
    }

    private static func row(_ result: BatchResult) -> [String] {
        let seed = result.seed.map { "\($0)" } ?? ""
        let seconds = result.seconds.map { String(format: "%.1f", $0) } ?? ""
        let losses = result.loss.map { [$0.total, $0.background, $0.semantic].map(ProgressReport.short) }
        return ["\(result.line)", result.output ?? "", result.status.rawValue, seed, seconds]
            + (losses ?? ["", "", ""])
    }
}
