import Failures
import ShardedRuntime

extension ComputationOptions {
    /// Finds out, before anything is computed, whether the trace and the ranks' report can be written.
    ///
    /// - Parameters:
    ///   - files: has the other files of the command, and gets these.
    ///   - overwrites: whether what is there may be written over.
    /// - Throws: `Failure.usage` or `Failure.inputOutput`.
    func checkFiles(in files: inout FileClaims, overwrites: Bool) throws {
        for (option, file) in [("--trace", trace), ("--rank-report", rankReport)] {
            guard let file else { continue }
            try files.write(file, by: option)
            if !overwrites { try AtomicFile.checkAreNew([file]) }
            try AtomicFile.checkWritable(file)
        }
    }

    /// Writes what is wanted of what the ranks did; to be called before they are let go.
    ///
    /// - Throws: `Failure`.
    func writeFiles(_ engine: ShardedEngine, _ reports: [RankReport]) async throws {
        if let trace { try await engine.writeTrace(to: trace) }
        if let rankReport {
            try RankReportFile(layout: engine.layout.description, ranks: reports).write(to: rankReport)
        }
    }
}
