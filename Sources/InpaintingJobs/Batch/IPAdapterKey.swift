import DiffusionModels
import Failures

extension BatchKey {
    /// The IP-Adapters of a line: a list of objects, whose keys are the options' names.
    static let ipAdapter = BatchKey(name: "ip_adapter") { value, draft in
        guard case .array(let elements) = value else {
            throw Failure.badData(
                "ip_adapter: expected a list of objects such as [{\"ip_adapter\": …}], found \(value.summary)")
        }
        let known = draft.settings.ipAdapters ?? []
        draft.settings.ipAdapters =
            elements.isEmpty
            ? nil
            : try elements.enumerated().map { index, element in
                try adapterSettings(element, "ip_adapter[\(index)]", default: index < known.count ? known[index] : nil)
            }
    }

    /// - Parameter known: what the command line says of the adapter in this place.
    private static func adapterSettings(
        _ json: OrderedJSON, _ place: String, default known: IPAdapterSettings?
    ) throws -> IPAdapterSettings {
        guard case .object(let members) = json else {
            throw Failure.badData("\(place): expected an object such as {\"ip_adapter\": …}, found \(json.summary)")
        }
        func required(_ key: String, _ known: String?, _ what: String) throws -> String {
            let path = try json[key].map { try text("\(place).\(key)", $0) } ?? known ?? ""
            guard !path.isEmpty else {
                throw Failure.badData("\(place).\(key): missing; an IP-Adapter needs its \(what)")
            }
            return path
        }
        let path = try required("ip_adapter", known?.adapter, "file")
        let image = try required("ip_adapter_image", known?.image, "picture")
        var settings = known ?? IPAdapterSettings(adapter: path, image: image)
        (settings.adapter, settings.image) = (path, image)
        for member in members {
            let (name, value) = ("\(place).\(member.key)", member.value)
            switch member.key {
            case "ip_adapter", "ip_adapter_image": break
            case "ip_adapter_scale": settings.scale = try decimal(name, value)
            case "ip_adapter_fit": settings.fit = try choice(name, value)
            default:
                throw Failure.badData(
                    "\(name): unknown key; expected ip_adapter, ip_adapter_image, ip_adapter_scale or ip_adapter_fit")
            }
        }
        return settings
    }
}
