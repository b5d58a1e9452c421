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
            text("vae", \.settings.autoencoder), prediction, clipSkip, lora, text("image", \.image),
            text("mask", \.mask), text("prompt", \.prompt), text("negative_prompt", \.settings.negativePrompt),
            promptSyntax, promptRescale, embedding, flag("invert_mask", \.settings.invertsMask),
            wholeOrNone("mask_grow", JobSettings.maskGrowths, \.settings.maskGrowth),
            wholeOrNone("mask_blur", JobSettings.maskBlurs, \.settings.maskBlur),
            size, area, areaPadding, areaEach, text("initial_latent", \.settings.initialLatent), control, t2iAdapter,
            ipAdapter,
            text("image_encoder", \.settings.imageEncoder),
            text("output", \.output), whole("count", JobOutputs.counts, \.extras.count),
            flag("paste", \.settings.pastesKeptPixels), flag("paths", \.extras.recordsPaths),
            whole("feather", JobSettings.feathers, \.settings.feather), quality("quality"),
            quality("jpeg_quality"),
            text("compare", \.extras.comparison),
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
        learningRate,
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
        BatchKey(name: name) { $1[keyPath: place] = try decimal(name, $0) }
    }

    static func decimal(_ name: String, _ value: OrderedJSON) throws -> Double {
        guard case .number(let spelling) = value, let number = Double(spelling) else {
            throw unexpected(name, "a number", value)
        }
        return number
    }

    private static func choice<Value: RawRepresentable<String> & CaseIterable & Sendable>(
        _ name: String, _ place: any Place<Value>
    ) -> BatchKey {
        BatchKey(name: name) { $1[keyPath: place] = try choice(name, $0) }
    }

    private static let learningRate = BatchKey(name: "learning_rate") { value, draft in
        draft.settings.method.learningRate = try decimal("learning_rate", value)
        draft.saysLearningRate = true
    }

    private static let size = BatchKey(name: "size") { value, draft in
        guard let size = value.string.flatMap({ PictureSize($0) }) else {
            throw unexpected("size", "a text such as \"512x384\"", value)
        }
        draft.settings.size = size
    }

    private static let area = BatchKey(name: "area") { value, draft in
        draft.settings.setArea(try choice("area", value))
    }

    private static let areaPadding = BatchKey(name: "area_padding") { value, draft in
        let padding = value.string.flatMap(AreaPadding.init) ?? value.integer.flatMap { AreaPadding(rawValue: "\($0)") }
        guard let padding else { throw unexpected("area_padding", AreaPadding.expectation, value) }
        draft.settings.areaPadding = padding
    }

    private static let areaEach = BatchKey(name: "area_each") { value, draft in
        guard let flag = value.boolean else { throw unexpected("area_each", "true or false", value) }
        draft.settings.areaEach = flag
    }

    private static func quality(_ name: String) -> BatchKey {
        BatchKey(name: name) { value, draft in
            guard let number = value.integer else { throw unexpected(name, "a whole number from 1 to 100", value) }
            draft.settings.setQuality(number)
        }
    }

    private static let preset = BatchKey(name: "preset") { value, draft in
        draft.settings.method.adopt(try choice("preset", value))
    }

    private static let clipSkip = BatchKey(name: "clip_skip") { value, draft in
        guard let number = value.integer else { throw unexpected("clip_skip", "a whole number", value) }
        draft.settings.clipSkip = number == 1 ? nil : number
    }

    private static let promptSyntax = BatchKey(name: "prompt_syntax") { value, draft in
        draft.promptSyntax = try choice("prompt_syntax", value)
    }

    private static let promptRescale = BatchKey(name: "prompt_rescale") { value, draft in
        guard let flag = value.boolean else { throw unexpected("prompt_rescale", "true or false", value) }
        draft.settings.restoresPromptMean = flag ? nil : false
    }

    private static let embedding = BatchKey(name: "embedding") { value, draft in
        let names = (file: EmbeddingChoice.CodingKeys.file.rawValue, token: EmbeddingChoice.CodingKeys.token.rawValue)
        let choices = try group("embedding", value, keys: [names.file, names.token]).map { object in
            EmbeddingChoice(
                file: try text(names.file, object[names.file] ?? .null),
                token: try object[names.token].map { try text(names.token, $0) })
        }
        draft.settings.embedding = choices.isEmpty ? nil : choices
    }

    private static let lora = BatchKey(name: "lora") { value, draft in
        let names = LoRAChoice.CodingKeys.allCases.map(\.rawValue)
        let choices = try group("lora", value, keys: names).map { object in
            func scale(_ key: LoRAChoice.CodingKeys) throws -> Double? {
                try object[key.rawValue].map { try decimal(key.rawValue, $0) }
            }
            let file = LoRAChoice.CodingKeys.file.rawValue
            return LoRAChoice(
                try text(file, object[file] ?? .null), scale: try scale(.scale), textScale: try scale(.textScale))
        }
        draft.settings.lora = choices.isEmpty ? nil : choices
    }

    /// A list of objects with these keys: options that repeat and belong together.
    private static func group(_ name: String, _ value: OrderedJSON, keys: [String]) throws -> [OrderedJSON] {
        let expected = "a list of objects such as [{\"\(keys[0])\": …}]"
        guard case .array(let elements) = value else { throw unexpected(name, expected, value) }
        for element in elements {
            guard case .object(let members) = element else { throw unexpected(name, expected, element) }
            if let unknown = members.first(where: { !keys.contains($0.key) }) {
                throw Failure.badData(
                    "\(name): unknown key \(quoted(unknown.key)); expected \(keys.joined(separator: ", "))")
            }
        }
        return elements
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

    static func choice<Value: RawRepresentable<String> & CaseIterable>(
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
