import ArgumentParser
import Failures
import Foundation
import MessagePassing
import PilotInpainting

/// `pilot inpaint`: the options, and what they mean together.
struct Inpaint: RankedCommand {
    static let configuration = CommandConfiguration(
        commandName: "inpaint",
        abstract: "Repaint the masked part of a photograph so that it fits the prompt and its surroundings.",
        discussion: InpaintHelp.discussion)

    @OptionGroup(title: "What to paint") var input: InputOptions
    @OptionGroup(title: "Results") var output: OutputOptions
    @OptionGroup(title: "The method") var method: MethodOptions
    @OptionGroup(title: "The computation") var computation: ComputationOptions

    func run(on communicator: any Communicator) async throws {
        guard let picture = output.output else { throw Failure.usage("--output is missing; see pilot inpaint --help") }
        let recorded = try input.from.map { try JobRecord(fromResult: $0) }
        var settings = try input.settings(startingFrom: recorded?.settings)
        method.apply(to: &settings.method)
        output.apply(to: &settings)
        computation.apply(to: &settings.computation, isRecorded: recorded != nil)
        let outputs = JobOutputs(
            picture: picture, count: output.count, comparison: output.compare, dump: output.dump,
            preview: output.preview)
        let job = InpaintJob(
            settings: settings, outputs: outputs, recorded: recorded, communicator: communicator)
        try await job.run()
    }
}
