import Failures

extension ComputationOptions {
    /// Finds out, before anything is computed, whether the trace can be written.
    ///
    /// - Parameters:
    ///   - files: has the other files of the command, and gets the trace.
    ///   - overwrites: whether what is there may be written over.
    /// - Throws: `Failure.usage` or `Failure.inputOutput`.
    func checkTrace(in files: inout FileClaims, overwrites: Bool) throws {
        guard let trace else { return }
        try files.write(trace, by: "--trace")
        if !overwrites { try AtomicFile.checkAreNew([trace]) }
        try AtomicFile.checkWritable(trace)
    }
}
