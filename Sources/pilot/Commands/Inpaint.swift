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

    func run(on communicator: any Communicator) async throws {
        let recorded = try input.from.map { try JobRecord(fromResult: $0) }
        var draft = JobDraft(model: ShippedModel.nameOrVariable, repeating: recorded?.settings)
        input.apply(to: &draft)
        method.apply(to: &draft.settings.method)
        output.apply(to: &draft)
        composition.apply(to: &draft.settings)
        extras.apply(to: &draft)
        computation.apply(to: &draft.settings.computation)
        if let missing = draft.missing.first {
            throw Failure.usage("--\(missing) is missing; see pilot inpaint --help")
        }
        let (settings, outputs) = draft.finished()
        let rank = try await computation.rank(computing: settings.computation, on: communicator)
        let job = InpaintingJob(settings: settings, outputs: outputs, repeating: recorded)
        try job.check()
        try computation.checkTrace(
            against: [settings.image, settings.mask, settings.initialLatent]
                + (0..<outputs.count).flatMap { [outputs.picture($0), outputs.comparison($0), outputs.dump($0)] })

        let ledger = PhaseLedger()
        let report = InpaintReport(model: settings.model, count: outputs.count)
        defer { report.clear() }
        let observer: JobObserver = { report.observe($0) }
        let (model, prepared) = try await ledger.measure(.checking) {
            let model = try JobModel(settings.model, warn: Console.warn)
            return (model, try job.prepared(for: model, observer: observer))
        }
        if prepared.hasNothingToCompute {
            try await RankOrder.nothing.give(to: communicator)
            try prepared.writePhotographs()
            return
        }
        let setup = try computation.setup(
            model, rank, ranks: communicator.size, latent: prepared.latentSize, pictures: outputs.count,
            passes: try PicturePasses(settings.method, model.scheduler))
        let engine = try await ledger.measure(.checking) {
            try await ShardedEngine(setup, communicator: communicator)
        }
        try await prepared.run(on: engine, ledger: ledger)
        report.clear()
        let reports = try await engine.reports()
        if let trace = computation.trace { try await engine.writeTrace(to: trace) }
        engine.stop()
        if let leftover = RankTable(reports: reports).leftover { Console.warn(leftover) }
        Console.print(JobSummary(ledger: ledger, reports: reports, layout: engine.layout).text)
    }
}
