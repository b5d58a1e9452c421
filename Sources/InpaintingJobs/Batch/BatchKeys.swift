import DiffusionModels
import Failures
import PilotInpainting
import TensorKernels

/// One key of a job's line: the name of an option of `pilot inpaint`, in snake_case.
package struct BatchKey: Sendable {
    package let name: String
    /// Puts the value where it belongs.
    ///
    /// - Throws: `Failure` naming the key.
    let apply: @Sendable (OrderedJSON, inout JobDraft) throws -> Void

    /// The record from which a line begins; read before all others.
    static let from = "from"

    /// In the order in which they are applied: a preset before what it presets.
    package static let all: [BatchKey] =
        [
            text("model", \.settings.model), text("model_config", \.settings.modelConfiguration),
            text("vae", \.settings.autoencoder), prediction, clipSkip, text("image", \.image), text("mask", \.mask),
            text("prompt", \.prompt),
            text("negative_prompt", \.settings.negativePrompt), flag("invert_mask", \.settings.invertsMask),
            wholeOrNone("mask_grow", JobSettings.maskGrowths, \.settings.maskGrowth),
            wholeOrNone("mask_blur", JobSettings.maskBlurs, \.settings.maskBlur),
            size, text("initial_latent", \.settings.initialLatent),
            text("output", \.output), whole("count", JobOutputs.counts, \.extras.count),
            flag("paste", \.settings.pastesKeptPixels), flag("paths", \.extras.recordsPaths),
            whole("feather", JobSettings.feathers, \.settings.feather), text("compare", \.extras.comparison),
            text("preview", \.extras.preview), text("dump", \.extras.dump),
        ] + method + [
            choice("dtype", \.settings.computation.elementType), choice("backend", \.settings.computation.backend),
        ]

    private static let method: [BatchKey] = [
        choice("method", \.settings.method.algorithm), preset,
        whole("steps", PilotParameters.counts, \.settings.method.steps),
        number("guidance_scale", \.settings.method.guidanceScale),
        number("coherence", \.settings.method.coherence),
        whole("optimize_every", PilotParameters.counts, \.settings.method.optimizeEvery),
        whole("gradient_steps", PilotParameters.counts, \.settings.method.gradientSteps),
        number("learning_rate", \.settings.method.learningRate),
        number("warmup_learning_rate", \.settings.method.warmupLearningRate),
        number("momentum", \.settings.method.momentum), number("lambda", \.settings.method.lambda),
        choice("lambda_area", \.settings.method.lambdaArea),
        flag("cross_attention_mask", \.settings.method.crossAttentionMask),
        flag("self_attention_mask", \.settings.method.selfAttentionMask),
        choice("mask_downsample", \.settings.method.maskDownsample), seed,
    ]

    private typealias Place<Value> = WritableKeyPath<JobDraft, Value> & Sendable

    private static func text(_ name: String, _ place: any Place<String>) -> BatchKey {
        BatchKey(name: name) { $1[keyPath: place] = try text(name, $0) }
    }

    private static func text(_ name: String, _ place: any Place<String?>) -> BatchKey {
        BatchKey(name: name) { $1[keyPath: place] = try text(name, $0) }
    }

    private static func flag(_ name: String, _ place: any Place<Bool>) -> BatchKey {
        BatchKey(name: name) { value, draft in
            guard let flag = value.boolean else { throw unexpected(name, "true or false", value) }
            draft[keyPath: place] = flag
        }
    }

    /// A number that is out of the range is refused later, with all that is wrong with the job's settings.
    private static func whole(_ name: String, _ range: ClosedRange<Int>, _ place: any Place<Int>) -> BatchKey {
        BatchKey(name: name) { value, draft in
            guard case .number(let spelling) = value, let number = Int(spelling) else {
                throw unexpected(name, "a whole number from \(range.lowerBound) to \(range.upperBound)", value)
            }
            draft[keyPath: place] = number
        }
    }

    /// As `whole`; 0 says nothing.
    private static func wholeOrNone(
        _ name: String, _ range: ClosedRange<Int>, _ place: any Place<Int?>
    ) -> BatchKey {
        BatchKey(name: name) { value, draft in
            guard let number = value.integer else {
                throw unexpected(name, "a whole number from \(range.lowerBound) to \(range.upperBound)", value)
            }
            draft[keyPath: place] = number == 0 ? nil : number
        }
    }

    private static func number(_ name: String, _ place: any Place<Double>) -> BatchKey {
        BatchKey(name: name) { value, draft in
            guard case .number(let spelling) = value, let number = Double(spelling) else {
                throw unexpected(name, "a number", value)
            }
            draft[keyPath: place] = number
        }
    }

    private static func choice<Value: RawRepresentable<String> & CaseIterable & Sendable>(
        _ name: String, _ place: any Place<Value>
    ) -> BatchKey {
        BatchKey(name: name) { $1[keyPath: place] = try choice(name, $0) }
    }

    private static let size = BatchKey(name: "size") { value, draft in
        guard let size = value.string.flatMap({ PictureSize($0) }) else {
            throw unexpected("size", "a text such as \"512x384\"", value)
        }
        draft.settings.size = size
    }

    private static let preset = BatchKey(name: "preset") { value, draft in
        draft.settings.method.adopt(try choice("preset", value))
    }

    private static let clipSkip = BatchKey(name: "clip_skip") { value, draft in
        guard let number = value.integer else { throw unexpected("clip_skip", "a whole number", value) }
        draft.settings.clipSkip = number == 1 ? nil : number
    }

    private static let prediction = BatchKey(name: "prediction") { value, draft in
        draft.settings.prediction = try choice("prediction", value)
    }

    private static let seed = BatchKey(name: "seed") { value, draft in
        if value.string == "random" {
            draft.drawsSeed = true
            return
        }
        guard case .number(let spelling) = value, let seed = UInt64(spelling) else {
            throw unexpected("seed", "a whole number from 0 to \(UInt64.max), or \"random\"", value)
        }
        draft.setSeed(seed)
    }

    static func text(_ name: String, _ value: OrderedJSON) throws -> String {
        guard let text = value.string else { throw unexpected(name, "a text", value) }
        return text
    }

    private static func choice<Value: RawRepresentable<String> & CaseIterable>(
        _ name: String, _ value: OrderedJSON
    ) throws -> Value {
        guard let choice = value.string.flatMap({ Value(rawValue: $0) }) else {
            throw unexpected(name, Value.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: " or "), value)
        }
        return choice
    }

    private static func unexpected(_ name: String, _ expected: String, _ found: OrderedJSON) -> Failure {
        .badData("\(name): expected \(expected), found \(found.summary)")
    }
}

extension PilotParameters {
    /// Takes over what the preset is about: steps, coherence and gradient steps.
    public mutating func adopt(_ preset: Preset) {
        let named = PilotParameters(preset: preset)
        (steps, coherence) = (named.steps, named.coherence)
        (optimizeEvery, gradientSteps) = (named.optimizeEvery, named.gradientSteps)
    }
}
