import Failures
import PilotInpainting

/// A stream of jobs on one engine.
///
/// As many are in flight as keep the engine busy, the older ones first; none waits for another. A job that fails is
/// told, and does not stop the others. What an earlier run has done is not done again.
public struct Batch: Sendable {
    private let setup: BatchSetup
    private let model: JobModel
    private let folder: OutputFolder
    private let reader: LineReader
    private let observer: BatchObserver

    /// - Throws: `Failure` when there are no lines to read, or no folder to write to.
    public init(_ setup: BatchSetup, model: JobModel, observer: @escaping BatchObserver) throws {
        try self.init(setup, model: model, reader: try LineReader(setup.lines), observer: observer)
    }

    package init(_ setup: BatchSetup, model: JobModel, reader: LineReader, observer: @escaping BatchObserver) throws {
        self.setup = setup
        self.model = model
        self.reader = reader
        self.observer = observer
        folder = try OutputFolder(setup.folder)
    }

    /// One picture, or one line that can't be run.
    public struct Entry: Sendable {
        public let result: BatchResult
        /// Where the batch remembers its jobs.
        public let job: BatchJob?
    }

    /// What came of a batch.
    public struct Outcome: Sendable {
        /// In the lines' order.
        public let entries: [Entry]
        /// Of the failures the one that came first, if any.
        public let firstFailure: Failure?
        /// How many jobs failed or were refused.
        public let failureCount: Int
    }

    /// Runs all jobs.
    ///
    /// A file of lines is read whole, and nothing is begun when one of them can't be run, unless the batch keeps going.
    /// Lines from standard input are checked as they come; one that can't be run ends the reading, and what is in flight
    /// is finished.
    ///
    /// - Parameters:
    ///   - ready: called once, when all lines of a file are known to be right and the folder is there.
    ///   - start: starts the engine; called once, before the first job, and not at all if there is nothing to do.
    /// - Throws: `Failure` when nothing was begun, for what concerns the whole batch, or when the task is cancelled.
    public func run<Engine: InpaintingEngine>(
        ready: () throws -> Void = {}, start: @Sendable () async throws -> Engine
    ) async throws -> Outcome {
        let ledger = BatchLedger(remembersJobs: setup.remembersJobs)
        let links = BatchLinks()
        var lines = BatchLines(
            reader: reader, checker: BatchChecker(setup, model: model, folder: folder, source: reader.name),
            setup: setup, ledger: ledger, links: links, observer: observer)
        if setup.isStream {
            try folder.makeFolders(for: [])
        } else {
            try lines.readAll(into: folder)
        }
        try ready()
        do {
            try await run(&lines, ledger, links, start: start)
        } catch is CancellationError {
            throw Failure(.interrupted, "interrupted")
        }
        return ledger.outcome
    }

    private func run<Engine: InpaintingEngine>(
        _ lines: inout BatchLines, _ ledger: BatchLedger, _ links: BatchLinks,
        start: @Sendable () async throws -> Engine
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            var engine: Engine?
            var running = 0
            while let job = try await lines.next() {
                let machine: Engine
                if let engine { machine = engine } else { machine = try await start() }
                engine = machine
                if running >= max(1, setup.jobsInFlight ?? machine.jobsInFlight) {
                    try await group.next()
                    running -= 1
                }
                // Told before it runs, so that whoever counts knows of every job when the lines end.
                observer(.started(job))
                group.addTask { try await make(job, on: machine, ledger, links) }
                running += 1
            }
            observer(.ended)
            try await group.waitForAll()
        }
    }

    /// - Throws: `CancellationError` alone.
    private func make(
        _ job: BatchJob, on engine: some InpaintingEngine, _ ledger: BatchLedger, _ links: BatchLinks
    ) async throws {
        var isThere = false
        // In any case: others wait.
        defer { links.settle(job.picture, isThere: isThere) }
        try Task.checkCancellation()
        let times = PhaseLedger()
        var result = BatchResult(line: job.line, output: job.name, status: .done)
        var failure: Failure?
        do {
            if try await isDone(job, links) {
                result = BatchResult(line: job.line, output: job.name, status: .present)
            } else {
                result.loss = try await pictures(of: job, on: engine, times).first?.loss.map(BatchResult.Loss.init)
            }
            isThere = true
        } catch {
            if error is CancellationError || (error as? Failure)?.kind == .interrupted { throw CancellationError() }
            let found = error as? Failure ?? .internalFault("unexpected error: \(error)")
            failure = Failure(found.kind, "line \(job.line), \(job.name): \(found.message)")
            result = BatchResult(line: job.line, output: job.name, status: .failed)
        }
        result.seed = job.job.settings.method.seed
        if result.status != .present {
            result.seconds = times.secondsSinceStart
            result.layout = engine.layout
        }
        result.error = failure?.message
        result.exitCode = failure?.exitCode
        ledger.add(result, of: job, failure)
        observer(.finished(result))
    }

    private func pictures(
        of job: BatchJob, on engine: some InpaintingEngine, _ times: PhaseLedger
    ) async throws -> [PictureResult] {
        let prepared = try await times.measure(.checking) {
            try job.job.prepared(for: model) { observer(.job(job, $0)) }
        }
        return prepared.hasNothingToCompute
            ? try prepared.writePhotographs() : try await prepared.run(on: engine, ledger: times)
    }

    /// Waits for the image of a job that paints on another's result, and finds out whether an earlier run has painted on
    /// the same.
    ///
    /// - Throws: `Failure.missingInput` if it will not be there.
    private func isDone(_ job: BatchJob, _ links: BatchLinks) async throws -> Bool {
        guard let needed = job.needs else { return false }
        guard await links.isThere(needed) else {
            try Task.checkCancellation()
            let name = needed.dropFirst(folder.path.count + 1)
            throw Failure.missingInput("its image is \(name), another job's result, and that job has failed")
        }
        // What is in its place was found to be its own, if it was there when the lines were read.
        return try BatchPresence(model: model, overwrites: true).isPresent(job.job)
    }
}

extension BatchResult.Loss {
    init(_ values: LossValues) {
        self.init(total: values.total, background: values.background, semantic: values.semantic)
    }
}
