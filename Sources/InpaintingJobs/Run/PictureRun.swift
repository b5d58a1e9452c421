import DiffusionModels
import Failures
import ImageFiles
import PilotInpainting
import Synchronization

/// A part of a job's pictures that is ready for the sampler.
struct PreparedPart: Sendable {
    let part: JobPart
    /// Of the unconditional branch, and of the conditional one.
    let branches: [BranchInputs]
    let sampler: PilotSampler
    /// Of the map of each T2I-Adapter.
    let mapChannels: [Int]
}

/// One picture of a job after another, or several at once: the sampler's run, those who watch it, and the files.
struct PictureRun<Engine: InpaintingEngine>: Sendable {
    let engine: Engine
    let inputs: JobInputs
    let outputs: JobOutputs
    let parts: [PreparedPart]
    let writer: ResultWriter
    let observer: JobObserver

    /// Makes picture `index`, 0 for the first, and writes all its files, the picture first. A file beside it that can't
    /// be written costs nothing else: the result says so.
    func make(_ index: Int) async throws -> PictureResult {
        let ledger = PhaseLedger()
        let extras = ExtraFiles()
        var loss: LossValues?
        var painted: [RGBImage?] = []
        let dumps =
            outputs.dump == nil
            ? [] : parts.indices.map { TensorDump(prefix: parts.count > 1 ? "cut.\(threeDigits($0))." : "") }
        for (number, part) in parts.enumerated() {
            let dump = dumps.isEmpty ? nil : dumps[number]
            if let dump { describe(part, in: dump) }
            if let previews = previews(index, number) {
                try await extras.write {
                    try previews.write(maps: part.part.controlMaps, of: "control")
                    try previews.write(maps: part.part.adapterMaps, of: "t2i-adapter")
                }
            }
            let run = run(index, number)
            let (decoded, lastLoss) = try await picture(
                of: part, part.sampler, index + number, wants: wants, ledger
            ) { event in
                dump?.observe(event)
                if extras.failure == nil { try await extras.write { try await preview(event, number, index, ledger) } }
                observer(.sampling(event, run: run))
            }
            loss = lastLoss ?? loss
            let size = part.part.geometry.picture
            dump?.add("decoded", decoded, shape: [3, size.height, size.width])
            painted.append(try writer.painted(decoded, part.part))
        }
        let file = outputs.picture(index)
        try await ledger.measure(.writing) {
            // The picture first: what lies beside a picture that has this job's record is this job's too.
            try writer.write(painted, to: file, image: index)
            if let dumpFile = outputs.dump(index) {
                try await extras.write { try TensorDump.write(dumps, to: dumpFile) }
            }
        }
        if let comparison = outputs.comparison(index) {
            try await extras.write { try await compare(painted, index, to: comparison, ledger) }
        }
        let made = PictureResult(
            file: file, seed: writer.record.settings.method.seed &+ UInt64(index), loss: loss,
            seconds: ledger.secondsSinceStart, ledger: ledger, failureBeside: extras.failure)
        observer(.written(made, image: index))
        return made
    }

    /// The events that files are made of.
    private var wants: SamplerRun.Wants {
        var wants: SamplerRun.Wants = []
        if outputs.dump != nil { wants.insert(.latents) }
        if outputs.preview != nil { wants.insert(.reconstructions) }
        return wants
    }

    /// The number of a run of the sampler among all of the job.
    private func run(_ image: Int, _ part: Int) -> Int { image * parts.count + part }

    private func compare(_ painted: [RGBImage?], _ index: Int, to file: String, _ ledger: PhaseLedger) async throws {
        var blended: [RGBImage?] = []
        for (number, part) in parts.enumerated() {
            let blender = try part.sampler.blendingAlone()
            let run = run(index, number)
            observer(.comparing(blender.plan, run: run))
            let (decoded, _) = try await picture(of: part, blender, index + number, ledger) { event in
                observer(.samplingComparison(event, run: run))
            }
            blended.append(try writer.painted(decoded, part.part))
        }
        try await ledger.measure(.writing) { try writer.writeComparison(painted, blended: blended, to: file) }
    }

    /// The decoded picture, `[3, H, W]` about [-1, 1], and what the loss was last.
    ///
    /// - Parameter seed: what is added to the job's seed.
    private func picture(
        of part: PreparedPart, _ sampler: PilotSampler, _ seed: Int, wants: SamplerRun.Wants = [],
        _ ledger: PhaseLedger, observer: @escaping PilotObserver
    ) async throws -> (decoded: [Float], loss: LossValues?) {
        // Its room is given away before the picture is decoded: it is the next job's, or ranks that do not decode would
        // wait for those that do.
        let sampled = try await engine.sample(
            SamplerRun(
                sampler: sampler, branches: part.branches, image: seed, initialLatent: inputs.initialLatent,
                wants: wants), observer: observer)
        ledger.add(sampled)
        self.observer(.began(.decoding))
        return (try await ledger.measure(.decoding) { try await decoded([sampled.latent])[0] }, sampled.loss)
    }

    private func decoded(_ latents: [Latent]) async throws -> [[Float]] {
        let pictures = try await engine.decode(latents)
        precondition(pictures.count == latents.count, "an engine decodes all that it is given")
        return pictures
    }

    private func describe(_ part: PreparedPart, in dump: TensorDump) {
        let sampler = part.sampler
        if let cut = part.part.geometry.cut {
            dump.add("cut", [cut.x, cut.y, cut.width, cut.height].map(Float.init), shape: [4])
        }
        dump.add("image_latent", sampler.imageLatent)
        dump.add("latent_mask", sampler.mask.values, shape: [sampler.mask.height, sampler.mask.width])
        // The same in both branches.
        if let latent = part.branches[0].maskedImageLatent { dump.add("masked_image_latent", latent) }
        for (index, map) in part.part.controlMaps.enumerated() {
            dump.add("control.\(index).image", map.latent(isBGR: false))
        }
        for (index, maps) in zip(part.part.adapterMaps, part.mapChannels).enumerated() {
            dump.add("t2i_adapter.\(index).image", maps.0.latent(channels: maps.1))
        }
        // The same in both branches.
        for (index, adapter) in part.branches[0].adapters.enumerated() {
            for (level, feature) in adapter.features.enumerated() {
                if let feature { dump.add("t2i_adapter.\(index).feature.\(level)", feature) }
            }
        }
        let shown = zip(
            part.branches[GuidanceBranch.conditional.rawValue].images,
            part.branches[GuidanceBranch.unconditional.rawValue].images)
        for (index, image) in shown.enumerated() {
            for (name, tokens) in [("tokens", image.0.tokens), ("negative_tokens", image.1.tokens)] {
                dump.add("ip_adapter.\(index).\(name)", tokens.values, shape: [tokens.height, tokens.width])
            }
        }
        for (name, branch) in [
            ("prompt_embedding", GuidanceBranch.conditional), ("negative_prompt_embedding", .unconditional),
        ] {
            let inputs = part.branches[branch.rawValue]
            dump.add(name, inputs.embedding, shape: [inputs.tokens, inputs.width])
        }
    }

    private func previews(_ index: Int, _ part: Int) -> PreviewWriter? {
        outputs.preview.map {
            PreviewWriter(
                folder: $0, size: parts[part].part.geometry.picture, prefix: outputs.previewPrefix(index),
                suffix: parts.count > 1 ? "-cut-\(part + 1)" : "")
        }
    }

    private func preview(_ event: PilotEvent, _ part: Int, _ index: Int, _ ledger: PhaseLedger) async throws {
        guard case .reconstructions(let step, let unconditional, let conditional, let guided) = event,
            let previews = previews(index, part)
        else { return }
        try await ledger.measure(.previews) {
            let pictures = try await decoded([unconditional, conditional, guided])
            try previews.write(pictures, step: step.index, timestep: step.timestep)
        }
    }
}

/// Writes what is beside a picture, and remembers when that fails.
private final class ExtraFiles: Sendable {
    private let firstFailure = Mutex<Failure?>(nil)

    /// What could not be written, if anything.
    var failure: Failure? { firstFailure.withLock { $0 } }

    /// - Throws: what `body` throws, but that it could not write.
    func write(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let failure as Failure where failure.kind == .inputOutput {
            firstFailure.withLock { $0 = $0 ?? failure }
        }
    }
}
