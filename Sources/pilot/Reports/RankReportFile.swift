import Failures
import Foundation
import ShardedRuntime

/// What `--rank-report` writes: the figures of `RankTable`, for programs. Seconds and bytes.
struct RankReportFile: Encodable {
    let layout: String
    let ranks: [RankReport]

    /// - Throws: `Failure.inputOutput`.
    func write(to path: String) throws {
        let encoder = JSONEncoder()
        encoder.keyEncodingStrategy = .convertToSnakeCase
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let text = String(decoding: try encoder.encode(self), as: UTF8.self) + "\n"
        try AtomicFile.write(to: path) { try $0.write(text) }
    }
}
