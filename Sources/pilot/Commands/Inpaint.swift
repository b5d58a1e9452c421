import ArgumentParser
import Failures
import Foundation
import InpaintingJobs
import MessagePassing
import ShardedRuntime

/// `pilot inpaint`: the options, and what they mean together.
struct Inpaint: RankedCommand {
    static let configuration = CommandConfiguration(
        commandName: "inpaint",
        abstract: "Repaint the masked part of a photograph so that it fits the prompt and its surroundings.",
        discussion: InpaintHelp.discussion)

    @OptionGroup(title: "What to paint") var input: InputOptions
    @OptionGroup(title: "Control") var control: ControlOptions
    @OptionGroup(title: "T2I-Adapters") var t2iAdapters: T2IAdapterOptions
    @OptionGroup(title: "IP-Adapters") var ipAdapters: IPAdapterOptions
    @OptionGroup(title: "Results") var output: OutputOptions
    @OptionGroup(title: "Results") var composition: CompositionOptions
    @OptionGroup(title: "Results") var extras: ExtraOutputOptions
    @OptionGroup(title: "The method") var method: MethodOptions
    @OptionGroup(title: "The computation") var computation: ComputationOptions
    @OptionGroup(title: "What is told meanwhile") var reporting: ReportOptions

    func run(on communicator: any Communicator) async throws {
        let chain = try chain()
        let (settings, outputs) = (chain.last.settings, chain.last.outputs)
        let rank = try await computation.rank(computing: settings.computation, on: communicator)
        var files = FileClaims()
        try chain.check(in: &files, overwrites: output.overwrite)
        try computation.checkFiles(in: &files, overwrites: output.overwrite)

        let ledger = PhaseLedger()
        var engine: ShardedEngine?
        var model: JobModel?
        for (index, job) in chain.jobs.enumerated() {
            let report = InpaintReport(
                job.settings, count: job.outputs.count, edit: (index + 1, chain.jobs.count), reporting)
            defer { report.clear() }
            report.begin("reading and checking")
            let (known, prepared) = try await ledger.measure(.checking) { [model] in
                let known = try model ?? JobModel(settings.modelChoice, warn: Console.warn)
                return (known, try job.prepared(for: known) { report.observe($0) })
            }
            model = known
            guard !prepared.hasNothingToCompute else {
                try prepared.writePhotographs()
                continue
            }
            if engine == nil {
                let setup = try computation.setup(
                    known, rank, ranks: communicator.size, latent: prepared.latentSize,
                    tokens: prepared.promptTokens,
                    pictures: outputs.count + chain.jobs.count - 1,
                    passes: try PicturePasses(job.settings.method, known.scheduler), note: reporting.note)
                report.begin("reading the model")
                engine = try await ledger.measure(.checking) {
                    try await ShardedEngine(setup, communicator: communicator)
                }
            }
            guard let engine else { continue }
            engine.onNotice { report.hear($0) }
            try await prepared.run(on: engine, ledger: ledger)
        }
        try await finish(engine, on: communicator, ledger, result(settings, outputs, ledger))
    }

    /// Lets the other ranks go, and tells what was done.
    private func finish(
        _ engine: ShardedEngine?, on communicator: any Communicator, _ ledger: PhaseLedger, _ result: ResultLine
    ) async throws {
        guard let engine else {
            try await RankOrder.nothing.give(to: communicator)
            return try tell(result.text, result.outputs)
        }
        let reports = try await engine.reports()
        try await computation.writeFiles(engine, reports)
        engine.stop()
        if let leftover = RankTable(reports: reports).leftover { Console.warn(leftover) }
        let summary = JobSummary(ledger: ledger, reports: reports, layout: engine.layout, result: result)
        try tell(summary.text, result.outputs)
    }

    /// The job that is wanted, and before it those that made its image, if a recorded job is repeated as it was.
    private func chain() throws -> EditChain {
        let recorded = try input.from.map { try JobRecord(repeating: $0) }
        var draft = JobDraft(model: ShippedModel.nameOrVariable, repeating: recorded?.settings)
        try input.apply(to: &draft)
        try control.apply(to: &draft)
        try t2iAdapters.apply(to: &draft)
        try ipAdapters.apply(to: &draft)
        method.apply(to: &draft)
        output.apply(to: &draft)
        composition.apply(to: &draft)
        extras.apply(to: &draft)
        computation.apply(to: &draft.settings.computation)
        let repeatsEdits = input.image == nil && recorded?.edits?.isEmpty == false
        // Made anew, so that it needs no file.
        if repeatsEdits { draft.image = recorded?.settings.image }
        if let recorded, let result = input.from { try recorded.checkNames(in: draft, from: result) }
        guard draft.missing.isEmpty else {
            throw MissingOptions.failure(draft.missing.map { "--\($0)" }, of: "pilot inpaint")
        }
        let (settings, outputs) = draft.finished()
        let job = InpaintingJob(settings: settings, outputs: outputs, repeating: recorded)
        guard repeatsEdits, let result = input.from else { return EditChain(job) }
        return try EditChain(job, from: result)
    }

    private func result(_ settings: JobSettings, _ outputs: JobOutputs, _ ledger: PhaseLedger) -> ResultLine {
        ResultLine(settings: settings, outputs: outputs, seconds: ledger.secondsSinceStart)
    }

    private func tell(_ summary: String, _ outputs: JobOutputs) throws {
        guard !reporting.quiet else { return }
        // Nothing may come between a picture's bytes.
        guard !outputs.takesStandardOutput else { return Console.write(summary + "\n") }
        try Console.print(summary)
    }
}
