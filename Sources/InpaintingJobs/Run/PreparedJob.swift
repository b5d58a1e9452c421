import DiffusionModels
import Failures
import ImageFiles
import PilotInpainting

/// A job whose files are read and sound.
public struct PreparedJob: Sendable {
    let model: JobModel
    let inputs: JobInputs
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
        let embeddings = try await embeddings(engine, ledger)
        observer(.began(.encoding))
        let (imageLatent, maskedImageLatent) = try await ledger.measure(.encoding) {
            try await (encoded(inputs.picture.planes, on: engine), encodedMaskedImage(on: engine))
        }
        let sampler = try PilotSampler(
            parameters: settings.method, scheduler: model.scheduler, mask: inputs.latentMask, imageLatent: imageLatent)
        observer(.planned(inputs.geometry, sampler.plan, layout: engine.layout))
        let run = PictureRun(
            engine: engine, inputs: inputs, outputs: outputs,
            branches: embeddings.map { embedding in
                BranchInputs(
                    embedding: embedding.values, tokens: embedding.tokens, width: embedding.width,
                    mask: inputs.latentMask.latent, maskedImageLatent: maskedImageLatent)
            }, sampler: sampler, writer: writer, observer: observer)
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

    private func encoded(_ planes: [Float], on engine: some InpaintingEngine) async throws -> Latent {
        try await engine.encode(planes, height: inputs.picture.height, width: inputs.picture.width)
    }

    /// z_masked, for a model that wants it.
    private func encodedMaskedImage(on engine: some InpaintingEngine) async throws -> Latent? {
        guard model.description.unetConfiguration.takesMaskedImage else { return nil }
        let latent = try await encoded(inputs.maskedPlanes, on: engine)
        guard latent.isFinite else {
            throw Failure.internalFault(
                "the encoded image without its masked part holds a NaN or an infinity; the model's VAE may be damaged")
        }
        return latent
    }

    /// Of the negative prompt and of the prompt, in this order.
    private func embeddings(_ engine: some InpaintingEngine, _ ledger: PhaseLedger) async throws -> [Embedding] {
        let length = model.contextLength
        let prompts = [("negative prompt", settings.negativePrompt), ("prompt", settings.prompt)]
        var tokens: [[Int32]] = []
        for (name, text) in prompts {
            let prompt = model.tokenizer.prompt(text, contextLength: length)
            tokens.append(prompt.ids)
            guard let dropped = prompt.truncatedText else { continue }
            observer(
                .warning(
                    "the \(name) is longer than the \(length) tokens that the text encoder reads; dropped: "
                        + onOneLine(shortened(dropped, to: 300))))
        }
        let embeddings = try await ledger.measure(.prompts) { try await engine.embed(tokens) }
        guard embeddings.allSatisfy({ $0.values.allSatisfy(\.isFinite) }) else {
            throw Failure.internalFault(
                "the text encoder's output holds a NaN or an infinity; the model's weights may be damaged")
        }
        return embeddings
    }
}

/// The text in quotes on one line, with control characters and line breaks escaped.
private func onOneLine(_ text: String) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
        switch scalar {
        case "\n": result += "\\n"
        case "\r": result += "\\r"
        case "\t": result += "\\t"
        case "\"", "\\": result += "\\\(scalar)"
        default:
            let breaks: [Unicode.GeneralCategory] = [.control, .lineSeparator, .paragraphSeparator]
            result +=
                breaks.contains(scalar.properties.generalCategory)
                ? "\\u{\(String(scalar.value, radix: 16))}" : String(scalar)
        }
    }
    return result + "\""
}
