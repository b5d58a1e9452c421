import Failures
import PilotInpainting

/// The jobs of a batch that are still to be made, in the order of their lines, as they are needed.
struct BatchLines {
    let reader: LineReader
    private var checker: BatchChecker
    private let setup: BatchSetup
    private let ledger: BatchLedger
    private let links: BatchLinks
    private let observer: BatchObserver
    /// Jobs of lines that were read.
    private var waiting: ArraySlice<BatchJob> = []
    private var isAtEnd = false

    init(
        reader: LineReader, checker: BatchChecker, setup: BatchSetup, ledger: BatchLedger, links: BatchLinks,
        observer: @escaping BatchObserver
    ) {
        self.reader = reader
        self.checker = checker
        self.setup = setup
        self.ledger = ledger
        self.links = links
        self.observer = observer
    }

    /// Reads and checks all lines, and makes the folders that they need.
    ///
    /// - Throws: `Failure` when lines can't be run and the batch does not keep going, after all of them were told.
    mutating func readAll(into folder: OutputFolder) throws {
        isAtEnd = true
        var jobs: [BatchJob] = []
        var faults: [BatchFault] = []
        let lines = try reader.readAll()
        checker.foresee(lines)
        for line in lines {
            switch checker.jobs(of: line) {
            case .success(let found): jobs += found
            case .failure(let error):
                faults.append(error.fault)
                refuse(error.fault)
            }
        }
        let ordered = checker.ordered(jobs)
        jobs = ordered.jobs
        faults += ordered.faults
        for fault in ordered.faults { refuse(fault) }
        if let first = faults.min(by: { $0.line < $1.line }), !setup.keepsGoing {
            throw Failure(
                first.failure.kind,
                faults.count == 1
                    ? "\(first.failure.message); nothing was begun, --keep-going would leave this line out"
                    : "\(reader.name): \(faults.count) lines can't be run, the first is line \(first.line); nothing was "
                        + "begun, --keep-going would leave them out")
        }
        try folder.makeFolders(for: jobs.filter { !$0.isPresent }.flatMap(\.files))
        observer(.counted(jobs: jobs.count, present: jobs.count(where: \.isPresent)))
        waiting = jobs[...]
    }

    /// The next job that is to be made, once its line is there; nil when there is none.
    mutating func next() async throws -> BatchJob? {
        while true {
            if let job = waiting.popFirst() {
                guard job.isPresent else { return job }
                var result = BatchResult(line: job.line, output: job.name, status: .present)
                result.seed = job.job.settings.method.seed
                ledger.add(result, of: job)
                links.settle(job.picture, isThere: true)
                observer(.finished(result))
                continue
            }
            guard !isAtEnd, let line = try await reader.next() else { return nil }
            switch checker.jobs(of: line) {
            case .success(let jobs): waiting = jobs[...]
            case .failure(let error):
                refuse(error.fault)
                isAtEnd = !setup.keepsGoing
            }
        }
    }

    private func refuse(_ fault: BatchFault) {
        observer(.refused(fault))
        var result = BatchResult(line: fault.line, output: nil, status: .refused)
        result.error = fault.failure.message
        result.exitCode = fault.failure.exitCode
        ledger.add(result, of: nil, fault.failure)
        observer(.finished(result))
    }
}
