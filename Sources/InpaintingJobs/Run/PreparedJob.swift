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
    public var hasNothingToCompute: Bool { inputs.isEmpty && outputs.dump == nil }

    /// The size at which the UNet works; of several the largest.
    public var latentSize: (height: Int, width: Int) {
        inputs.parts.map { ($0.geometry.latentHeight, $0.geometry.latentWidth) }.max { $0.0 * $0.1 < $1.0 * $1.1 }
            ?? (1, 1)
    }

    /// The tokens of the longer prompt.
    public var promptTokens: Int { prompts.tokens }

    /// Writes the results of a job that has nothing to compute.
    ///
    /// - Throws: `Failure.inputOutput`.
    @discardableResult
    public func writePhotographs() throws -> [PictureResult] {
        let kept = inputs.parts.map { _ in RGBImage?.none }
        return try (0..<outputs.count).map { index in
            let ledger = PhaseLedger()
            try writer.write(kept, to: outputs.picture(index), image: index)
            if let comparison = outputs.comparison(index) {
                try writer.writeComparison(kept, blended: kept, to: comparison)
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
        let embeddings = try await ledger.measure(.prompts) { try await prompts.embeddings(on: engine) }
        observer(.began(.encoding))
        let images = try await ledger.measure(.encoding) { try await shownImages(on: engine) }
        var parts: [PreparedPart] = []
        for part in inputs.parts { parts.append(try await prepared(part, embeddings, images, engine, ledger)) }
        observer(.planned(inputs.parts.map(\.geometry), parts[0].sampler.plan, layout: engine.layout))
        let run = PictureRun(
            engine: engine, inputs: inputs, outputs: outputs, parts: parts, writer: writer, observer: observer)
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

    private func prepared(
        _ part: JobPart, _ embeddings: [Embedding], _ images: [[ImageInputs]], _ engine: some InpaintingEngine,
        _ ledger: PhaseLedger
    ) async throws -> PreparedPart {
        let (imageLatent, maskedImageLatent) = try await ledger.measure(.encoding) {
            try await (encoded(part, part.picture.planes, on: engine), encodedMaskedImage(part, on: engine))
        }
        let controls = controlInputs(part)
        let adapters = try await ledger.measure(.encoding) { try await features(part, on: engine) }
        let branches = zip(embeddings, images).map { embedding, images in
            BranchInputs(
                embedding: embedding.values, tokens: embedding.tokens, width: embedding.width,
                chunkLength: prompts.contextLength, mask: part.latentMask.latent,
                maskedImageLatent: maskedImageLatent, controls: controls, adapters: adapters,
                images: images)
        }
        let sampler = try PilotSampler(
            parameters: settings.method, scheduler: model.scheduler, mask: part.latentMask, imageLatent: imageLatent,
            controls: controlTimings, adapters: adapterTimings)
        return PreparedPart(
            part: part, branches: branches, sampler: sampler,
            mapChannels: model.description.t2iAdapters.map(\.configuration.mapChannels))
    }

    private func encoded(
        _ part: JobPart, _ planes: [Float], on engine: some InpaintingEngine
    ) async throws -> Latent {
        try await engine.encode(planes, height: part.picture.height, width: part.picture.width)
    }

    /// z_masked, for a model that wants it.
    private func encodedMaskedImage(_ part: JobPart, on engine: some InpaintingEngine) async throws -> Latent? {
        guard model.description.unetConfiguration.takesMaskedImage else { return nil }
        let latent = try await encoded(part, part.maskedPlanes, on: engine)
        guard latent.isFinite else {
            throw Failure.internalFault(
                "the encoded image without its masked part holds a NaN or an infinity; the model's VAE may be damaged")
        }
        return latent
    }

    /// What the IP-Adapters show to each branch, once for all pictures of the job.
    private func shownImages(on engine: some InpaintingEngine) async throws -> [[ImageInputs]] {
        var branches = GuidanceBranch.allCases.map { _ in [ImageInputs]() }
        for (index, adapter) in (settings.ipAdapters ?? []).enumerated() {
            let made = try await engine.imageTokens(ofAdapter: index, picture: inputs.shownPictures[index])
            guard made.tokens.isFinite, made.negativeTokens.isFinite else {
                throw Failure.internalFault(
                    "--ip-adapter \(model.description.ipAdapters[index].path): its tokens hold a NaN or an infinity; its "
                        + "weights, or those of the image encoder, may be damaged")
            }
            for (branch, tokens) in [
                (GuidanceBranch.unconditional, made.negativeTokens), (.conditional, made.tokens),
            ] { branches[branch.rawValue].append(ImageInputs(tokens: tokens, scale: adapter.scale)) }
        }
        return branches
    }

    /// What the T2I-Adapters make of their maps, once for all pictures of the job.
    private func features(_ part: JobPart, on engine: some InpaintingEngine) async throws -> [FeatureInputs] {
        var inputs: [FeatureInputs] = []
        for (index, adapter) in (settings.t2iAdapters ?? []).enumerated() {
            let files = model.description.t2iAdapters[index]
            let map = part.adapterMaps[index].latent(channels: files.configuration.mapChannels)
            let features = try await engine.features(ofAdapter: index, map: map)
            guard features.allSatisfy(\.isFinite) else {
                throw Failure.internalFault(
                    "--t2i-adapter \(files.path): a feature holds a NaN or an infinity; its weights may be damaged")
            }
            inputs.append(FeatureInputs(features: features, scale: adapter.scale))
        }
        return inputs
    }

    private var adapterTimings: [ActingTime] {
        (settings.t2iAdapters ?? []).map { ActingTime(start: $0.range.start, end: $0.range.end) }
    }

    private var controlTimings: [ActingTime] {
        zip(settings.controls ?? [], model.description.controls).map { settings, net in
            ActingTime(
                start: settings.range.start, end: settings.range.end,
                isConditionalOnly: settings.mode == .guess || net.configuration.poolsGlobally)
        }
    }

    private func controlInputs(_ part: JobPart) -> [ControlInputs] {
        zip(settings.controls ?? [], zip(part.controlMaps, model.description.controls)).map { settings, made in
            let (map, net) = made
            return ControlInputs(
                map: map.latent(isBGR: net.configuration.takesBGR), scale: settings.scale,
                guesses: settings.mode == .guess && !net.configuration.poolsGlobally)
        }
    }
}
