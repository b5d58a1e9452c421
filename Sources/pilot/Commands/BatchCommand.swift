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
        discussion: BatchHelp.discussion)

    @Argument(help: ArgumentHelp("The jobs, one JSON object a line; - reads standard input.", valueName: "jobs.jsonl"))
    var jobs: String

    @OptionGroup(title: "The batch") var batch: BatchOptions
    @OptionGroup(title: "What to paint, where a line does not say it") var input: InputOptions
    @OptionGroup(title: "What to paint, where a line does not say it") var composition: CompositionOptions
    @OptionGroup(title: "The method, where a line does not say it") var method: MethodOptions
    @OptionGroup(title: "The computation") var computation: ComputationOptions

    func validate() throws {
        if let number = batch.jobsInFlight, !(1...10_000).contains(number) {
            throw ValidationError("--jobs-in-flight: expected 1 to 10000, found \(number)")
        }
    }

    func run(on communicator: any Communicator) async throws {
        let setup = try setup()
        let rank = try await computation.rank(computing: setup.defaults.settings.computation, on: communicator)
        let report = BatchReport(printsJSON: batch.json)
        defer { report.clear() }
        let model = try JobModel(setup.defaults.settings.model, warn: Console.warn)
        // The UNet is cut for the size of the command line, or the model's own: lines may have others.
        let sizes = try model.description.geometry(setup.defaults.settings.size)
        let ranks = try computation.setup(
            model, rank, ranks: communicator.size, latent: (sizes.latentHeight, sizes.latentWidth), pictures: nil,
            jobsInFlight: batch.jobsInFlight)
        let stream = try Batch(setup, model: model) { report.observe($0) }
        let machine = StartedEngine()
        let outcome = try await machine.run(stream) {
            // They may be in the batch's folder.
            report.begin(writing: try batch.results.map { try ResultsFile($0) })
            if let sheet = batch.sheet { try AtomicFile.checkWritable(sheet) }
            try computation.checkTrace(against: [jobs, batch.sheet, batch.results])
        } start: {
            let engine = try await ShardedEngine(ranks, communicator: communicator)
            report.begin(on: engine.layout)
            machine.keep(engine)
            return engine
        }
        report.clear()
        var reports: [RankReport] = []
        if let engine = machine.engine {
            reports = try await engine.reports()
            if let trace = computation.trace { try await engine.writeTrace(to: trace) }
            engine.stop()
        } else {
            try await RankOrder.nothing.give(to: communicator)
        }
        if let leftover = RankTable(reports: reports).leftover { Console.warn(leftover) }
        if !batch.json {
            Console.print(BatchTable(entries: outcome.entries).text)
            if !reports.isEmpty { Console.print(RankTable(reports: reports).text) }
        }
        if let sheet = batch.sheet { try ContactSheet.write(outcome.entries, to: sheet) }
        try throwFailure(of: outcome, report.resultsFailure)
    }

    private func setup() throws -> BatchSetup {
        let recorded = try input.from.map { try JobRecord(fromResult: $0) }
        var draft = JobDraft(model: ShippedModel.nameOrVariable, repeating: recorded?.settings)
        input.apply(to: &draft)
        composition.apply(to: &draft.settings)
        method.apply(to: &draft.settings.method)
        computation.apply(to: &draft.settings.computation)
        // A default that makes no sense is said once, and not for every line.
        try draft.settings.validate()
        var setup = BatchSetup(lines: jobs, folder: batch.output, defaults: draft)
        setup.overwrites = batch.overwrite
        setup.keepsGoing = batch.keepGoing
        setup.jobsInFlight = batch.jobsInFlight
        setup.remembersJobs = batch.sheet != nil
        setup.reserved = [batch.sheet, batch.results, computation.trace].compactMap { $0 }
        return setup
    }

    /// - Throws: what came first, if anything failed; its kind is the exit code.
    private func throwFailure(of outcome: Batch.Outcome, _ resultsFailure: Failure?) throws {
        if let first = outcome.firstFailure {
            let count = "\(outcome.failureCount) of \(Console.count(outcome.entries.count, "job")) failed"
            throw Failure(
                first.kind,
                outcome.failureCount == 1 ? "\(count): \(first.message)" : "\(count), first \(first.message)")
        }
        if let resultsFailure { throw resultsFailure }
    }
}
