import DiffusionModels
import Failures

extension BatchKey {
    /// The T2I-Adapters of a line: a list of objects, whose keys are the options' names.
    static let t2iAdapter = BatchKey(name: "t2i_adapter") { value, draft in
        guard case .array(let elements) = value else {
            throw Failure.badData(
                "t2i_adapter: expected a list of objects such as [{\"t2i_adapter\": …}], found \(value.summary)")
        }
        let known = draft.settings.t2iAdapters ?? []
        draft.settings.t2iAdapters =
            elements.isEmpty
            ? nil
            : try elements.enumerated().map { index, element in
                try adapterSettings(
                    element, "t2i_adapter[\(index)]", default: index < known.count ? known[index] : nil)
            }
    }

    /// - Parameter known: what the command line says of the adapter in this place.
    private static func adapterSettings(
        _ json: OrderedJSON, _ place: String, default known: T2IAdapterSettings?
    ) throws -> T2IAdapterSettings {
        guard case .object(let members) = json else {
            throw Failure.badData("\(place): expected an object such as {\"t2i_adapter\": …}, found \(json.summary)")
        }
        guard let path = try json["t2i_adapter"].map({ try text("\(place).t2i_adapter", $0) }) ?? known?.adapter else {
            throw Failure.badData("\(place).t2i_adapter: missing; a T2I-Adapter needs its folder or file")
        }
        var settings = known ?? T2IAdapterSettings(adapter: path)
        settings.adapter = path
        for member in members {
            let (name, value) = ("\(place).\(member.key)", member.value)
            switch member.key {
            case "t2i_adapter": break
            case "t2i_adapter_image": settings.image = try text(name, value)
            case "t2i_adapter_scale": settings.scale = try decimal(name, value)
            case "t2i_adapter_range":
                guard let range = StepRange(try text(name, value)) else {
                    throw Failure.badData("\(name): expected a text such as \"0.2:0.8\", found \(value.summary)")
                }
                settings.range = range
            case "t2i_adapter_preprocess": settings.preprocessing = try choice(name, value)
            default:
                throw Failure.badData(
                    "\(name): unknown key; expected t2i_adapter, t2i_adapter_image, t2i_adapter_scale, "
                        + "t2i_adapter_range or t2i_adapter_preprocess")
            }
        }
        return settings
    }
}
