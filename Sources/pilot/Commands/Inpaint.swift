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
    @OptionGroup(title: "Results") var output: OutputOptions
    @OptionGroup(title: "Results") var composition: CompositionOptions
    @OptionGroup(title: "Results") var extras: ExtraOutputOptions
    @OptionGroup(title: "The method") var method: MethodOptions
    @OptionGroup(title: "The computation") var computation: ComputationOptions
    @OptionGroup(title: "What is told meanwhile") var reporting: ReportOptions

    func run(on communicator: any Communicator) async throws {
        let recorded = try input.from.map { try JobRecord(repeating: $0) }
        var draft = JobDraft(model: ShippedModel.nameOrVariable, repeating: recorded?.settings)
        try input.apply(to: &draft)
        method.apply(to: &draft)
        output.apply(to: &draft)
        composition.apply(to: &draft)
        extras.apply(to: &draft)
        computation.apply(to: &draft.settings.computation)
        if let recorded, let result = input.from { try recorded.checkNames(in: draft, from: result) }
        guard draft.missing.isEmpty else {
            throw MissingOptions.failure(draft.missing.map { "--\($0)" }, of: "pilot inpaint")
        }
        let (settings, outputs) = draft.finished()
        let rank = try await computation.rank(computing: settings.computation, on: communicator)
        let job = InpaintingJob(settings: settings, outputs: outputs, repeating: recorded)
        var files = FileClaims()
        try job.check(in: &files, overwrites: output.overwrite)
        try computation.checkTrace(in: &files, overwrites: output.overwrite)

        let ledger = PhaseLedger()
        let report = InpaintReport(settings, count: outputs.count, reporting)
        defer { report.clear() }
        report.begin("reading and checking")
        let observer: JobObserver = { report.observe($0) }
        let (model, prepared) = try await ledger.measure(.checking) {
            let model = try JobModel(settings.modelChoice, warn: Console.warn)
            return (model, try job.prepared(for: model, observer: observer))
        }
        if prepared.hasNothingToCompute {
            try await RankOrder.nothing.give(to: communicator)
            try prepared.writePhotographs()
            report.clear()
            try tell(result(settings, outputs, ledger).text, outputs)
            return
        }
        let setup = try computation.setup(
            model, rank, ranks: communicator.size, latent: prepared.latentSize, pictures: outputs.count,
            passes: try PicturePasses(settings.method, model.scheduler), note: reporting.note)
        report.begin("reading the model")
        let engine = try await ledger.measure(.checking) {
            try await ShardedEngine(setup, communicator: communicator)
        }
        engine.onNotice { report.hear($0) }
        try await prepared.run(on: engine, ledger: ledger)
        report.clear()
        let reports = try await engine.reports()
        if let trace = computation.trace { try await engine.writeTrace(to: trace) }
        engine.stop()
        if let leftover = RankTable(reports: reports).leftover { Console.warn(leftover) }
        let result = result(settings, outputs, ledger)
        try tell(JobSummary(ledger: ledger, reports: reports, layout: engine.layout, result: result).text, outputs)
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
