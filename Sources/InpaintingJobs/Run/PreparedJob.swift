import DiffusionModels
import Failures
import ImageFiles
import PilotInpainting

/// A job whose files are read and sound.
public struct PreparedJob: Sendable {
    let model: JobModel
    let inputs: JobInputs
    let prompts: JobPrompts
    let outputs: JobOutputs
    let writer: ResultWriter
    let observer: JobObserver

    private var settings: JobSettings { writer.record.settings }

    /// Whether the result is the photograph as it is.
    ///
    /// A dump says what the method computes, even where the picture does not depend on it.
    public var hasNothingToCompute: Bool { inputs.latentMask.isEmpty && outputs.dump == nil }

    /// The size at which the UNet works.
    public var latentSize: (height: Int, width: Int) {
        (inputs.geometry.latentHeight, inputs.geometry.latentWidth)
    }

    /// The tokens of the longer prompt.
    public var promptTokens: Int { prompts.tokens }

    /// Writes the results of a job that has nothing to compute.
    ///
    /// - Throws: `Failure.inputOutput`.
    @discardableResult
    public func writePhotographs() throws -> [PictureResult] {
        let photograph = inputs.photograph
        return try (0..<outputs.count).map { index in
            let ledger = PhaseLedger()
            try writer.write(photograph, to: outputs.picture(index), image: index)
            if let comparison = outputs.comparison(index) {
                try writer.writeComparison(photograph, blended: photograph, to: comparison)
            }
            let result = PictureResult(
                file: outputs.picture(index), seed: settings.method.seed &+ UInt64(index), loss: nil,
                seconds: ledger.secondsSinceStart, ledger: ledger, failureBeside: nil)
            observer(.written(result, image: index))
            return result
        }
    }

    /// Makes the pictures, as many at a time as keep the engine busy, and writes each when it is finished.
    ///
    /// - Parameter ledger: gets the time of what all pictures share, and the pictures' own.
    /// - Throws: `Failure`; pictures that were finished before stay. When a file beside a picture can't be written, all
    ///   pictures are made first.
    @discardableResult
    public func run(on engine: some InpaintingEngine, ledger: PhaseLedger) async throws -> [PictureResult] {
        observer(.began(.prompts))
        let embeddings = try await ledger.measure(.prompts) {
            try await prompts.inputs(on: engine, mask: inputs.latentMask.latent, controls: controlInputs)
        }
        let picture = inputs.picture
        observer(.began(.encoding))
        let imageLatent = try await ledger.measure(.encoding) {
            try await engine.encode(picture.planes, height: picture.height, width: picture.width)
        }
        let sampler = try PilotSampler(
            parameters: settings.method, scheduler: model.scheduler, mask: inputs.latentMask, imageLatent: imageLatent,
            controls: controlTimings)
        observer(.planned(inputs.geometry, sampler.plan, layout: engine.layout))
        let run = PictureRun(
            engine: engine, inputs: inputs, outputs: outputs, embeddings: embeddings, sampler: sampler, writer: writer,
            observer: observer)
        let results = try await mapInFlight(0..<outputs.count, atMost: engine.jobsInFlight) { index in
            let result = try await run.make(index)
            ledger.add(result.ledger)
            return result
        }
        if let failure = results.lazy.compactMap(\.failureBeside).first {
            let result = results.count == 1 ? "the picture itself is" : "all \(results.count) pictures are"
            throw Failure(failure.kind, "\(failure.message); \(result) written")
        }
        return results
    }

    private var controlTimings: [ControlTiming] {
        zip(settings.controls ?? [], model.description.controls).map { settings, net in
            ControlTiming(
                start: settings.range.start, end: settings.range.end,
                isConditionalOnly: settings.mode == .guess || net.configuration.poolsGlobally)
        }
    }

    private var controlInputs: [ControlInputs] {
        zip(settings.controls ?? [], zip(inputs.controlMaps, model.description.controls)).map { settings, made in
            let (map, net) = made
            return ControlInputs(
                map: map.latent(isBGR: net.configuration.takesBGR), scale: settings.scale,
                guesses: settings.mode == .guess && !net.configuration.poolsGlobally)
        }
    }
}
