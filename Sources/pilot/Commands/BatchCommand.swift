import ArgumentParser
import Failures
import InpaintingJobs
import MessagePassing
import ShardedRuntime

/// `pilot batch`: the options, and what they mean together.
struct BatchCommand: RankedCommand {
    static let configuration = CommandConfiguration(
        commandName: "batch",
        abstract: "Inpaint a stream of pictures, as many at a time as keep all ranks busy.",
        usage: "pilot batch <jobs.jsonl> --output <folder> [<options>]",
        discussion: BatchHelp.discussion)

    @Argument(
        help: ArgumentHelp("The jobs, one JSON object a line; - reads standard input.", valueName: "jobs.jsonl"),
        completion: .file())
    var jobs: String?

    @OptionGroup(title: "The batch") var batch: BatchOptions
    @OptionGroup(title: "What to paint, where a line does not say it") var input: InputOptions
    @OptionGroup(title: "Control, where a line does not say it") var control: ControlOptions
    @OptionGroup(title: "T2I-Adapters, where a line does not say it") var t2iAdapters: T2IAdapterOptions
    @OptionGroup(title: "IP-Adapters, where a line does not say it") var ipAdapters: IPAdapterOptions
    @OptionGroup(title: "What to paint, where a line does not say it") var composition: CompositionOptions
    @OptionGroup(title: "The method, where a line does not say it") var method: MethodOptions
    @OptionGroup(title: "The computation") var computation: ComputationOptions
    @OptionGroup(title: "What is told meanwhile") var reporting: ReportOptions

    func run(on communicator: any Communicator) async throws {
        let begin = ContinuousClock.now
        let setup = try setup()
        let rank = try await computation.rank(computing: setup.defaults.settings.computation, on: communicator)
        let report = BatchReport(printsJSON: batch.json, reporting)
        defer { report.clear() }
        report.begin("reading and checking")
        let model = try JobModel(setup.defaults.settings.modelChoice, warn: Console.warn)
        // The UNet is cut for the size of the command line, or the model's own, and prompts of one chunk: lines may have
        // others.
        let sizes = try model.description.geometry(setup.defaults.settings.size)
        let ranks = try computation.setup(
            model, rank, ranks: communicator.size, latent: (sizes.latentHeight, sizes.latentWidth),
            tokens: model.contextLength, pictures: nil, jobsInFlight: batch.jobsInFlight, note: reporting.note)
        let stream = try Batch(setup, model: model) { report.observe($0) }
        let machine = StartedEngine()
        let outcome = try await machine.run(stream) {
            // From standard input lines come when they come, and nobody can say what takes long.
            report.clear()
            // They may be in the batch's folder, which is there only now.
            try checkFiles()
            report.begin(writing: try batch.results.map { try ResultsFile($0) })
        } start: {
            report.begin("reading the model")
            let engine = try await ShardedEngine(ranks, communicator: communicator)
            engine.onNotice { report.hear($0) }
            report.begin(on: engine.layout)
            machine.keep(engine)
            return engine
        }
        report.clear()
        var reports: [RankReport] = []
        if let engine = machine.engine {
            reports = try await engine.reports()
            try await computation.writeFiles(engine, reports)
            engine.stop()
        } else {
            try await RankOrder.nothing.give(to: communicator)
        }
        if let leftover = RankTable(reports: reports).leftover { Console.warn(leftover) }
        let sheet = Result { try writeSheet(of: outcome) }
        if !batch.json, !reporting.quiet {
            let table = BatchTable(entries: outcome.entries)
            try Console.print(table.text)
            if !reports.isEmpty { try Console.print(RankTable(reports: reports).text) }
            let seconds = (ContinuousClock.now - begin).inSeconds
            if let line = table.lastLine(folder: setup.folder, seconds: seconds) { try Console.print(line) }
        }
        try throwFailure(of: outcome, report.lostResult)
        try sheet.get()
    }

    private func writeSheet(of outcome: Batch.Outcome) throws {
        guard let sheet = batch.sheet else { return }
        try ContactSheet.write(outcome.entries, to: sheet, overwrites: batch.overwrite)
    }

    /// Finds out whether the batch's own files can be written.
    private func checkFiles() throws {
        var files = FileClaims()
        files.read(jobs, by: "the jobs")
        try files.write(batch.results, by: "--results")
        try files.write(batch.sheet, by: "--sheet")
        if let sheet = batch.sheet { try ContactSheet.check(sheet, overwrites: batch.overwrite) }
        try computation.checkFiles(in: &files, overwrites: batch.overwrite)
    }

    private func setup() throws -> BatchSetup {
        guard let jobs, let output = batch.output else {
            let options = [("<jobs.jsonl>", jobs), ("--output", batch.output)]
            throw MissingOptions.failure(options.filter { $0.1 == nil }.map(\.0), of: "pilot batch")
        }
        let recorded = try input.from.map { try JobRecord(repeating: $0) }
        var draft = JobDraft(model: ShippedModel.nameOrVariable, repeating: recorded?.settings)
        try input.apply(to: &draft)
        try control.apply(to: &draft)
        try t2iAdapters.apply(to: &draft)
        try ipAdapters.apply(to: &draft)
        composition.apply(to: &draft)
        method.apply(to: &draft)
        computation.apply(to: &draft.settings.computation)
        // A default that makes no sense is said once, and not for every line.
        try draft.validate()
        var setup = BatchSetup(lines: jobs, folder: output, defaults: draft)
        setup.overwrites = batch.overwrite
        setup.keepsGoing = batch.keepGoing
        setup.jobsInFlight = batch.jobsInFlight
        setup.remembersJobs = batch.sheet != nil
        setup.reserved = [batch.sheet, batch.results, computation.trace, jobs].compactMap { $0 }
        return setup
    }

    /// - Throws: what came first, if anything failed; its kind is the exit code.
    private func throwFailure(of outcome: Batch.Outcome, _ lostResult: Failure?) throws {
        if let first = outcome.firstFailure {
            let count = "\(outcome.failureCount) of \(Console.count(outcome.entries.count, "job")) failed"
            throw Failure(
                first.kind,
                outcome.failureCount == 1 ? "\(count): \(first.message)" : "\(count), first \(first.message)")
        }
        if let lostResult { throw lostResult }
    }
}
